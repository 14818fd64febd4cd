"""A data set as a folder: three Parquet files and a card, named by the digest of their rows.

Which rows are in it is `assemble`'s business. The folder is immutable: it is written once into the lake and
fetched whole by training (without its test rows) and by evaluation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ConfigDict, ValidationError

from lakeloop.datasets.assemble import SPLITS, Assembled, SplitName
from lakeloop.durable import write_atomically
from lakeloop.errors import DataError
from lakeloop.lake.digest import content_digest
from lakeloop.records import Frozen, fingerprint

if TYPE_CHECKING:
    from lakeloop.lake import LakeFiles

CARD = "dataset.json"
_REMEDY = "publish more partitions, or change split in the loop file"


class DatasetCard(Frozen):
    """What is in a data set and what it was made from.

    Not the version of the mart: equal rows can be read at many, and are one data set. The ledger has it.
    """

    model_config = ConfigDict(extra="ignore")  # cards that were frozen earlier hold mart_version

    digest: str
    """Of the rows of each split and the labels; not of the files."""
    labels: tuple[str, ...]
    rows: dict[SplitName, int]
    label_shares: dict[SplitName, dict[str, float]]
    """Share of each label in each split, 0..1."""
    duplicates: int
    """Rows left out because their text was there already."""
    partitions: dict[str, str]
    """Day -> content digest of its rows in the mart."""

    @property
    def folder_name(self) -> str:
        """Name of the folder in the lake."""
        return folder_name_of(self.digest)


def folder_name_of(digest: str) -> str:
    """Name in the lake of the data set with this digest."""
    return f"datasets/{digest[:16]}"


def describe(assembled: Assembled, labels: tuple[str, ...], partitions: Mapping[str, str]) -> DatasetCard:
    """The card of a data set.

    Raises:
        DataError: a split has no rows, or the training rows have fewer than two labels.
    """
    tables = assembled.tables
    counted = {name: Counter(tables[name]["label"].to_pylist()) for name in SPLITS}
    _require_usable(counted)
    return DatasetCard(
        digest=fingerprint(labels=labels, splits={name: content_digest(tables[name]) for name in SPLITS}),
        labels=labels,
        rows={name: tables[name].num_rows for name in SPLITS},
        label_shares={
            name: {label: counted[name][label] / tables[name].num_rows for label in labels} for name in SPLITS
        },
        duplicates=assembled.duplicates,
        partitions=dict(partitions),
    )


def write_dataset(assembled: Assembled, card: DatasetCard, folder: Path) -> None:
    """Write the splits and the card into `folder`, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in assembled.tables.items():
        pq.write_table(table, folder / f"{name}.parquet", compression="zstd")
    write_atomically(folder / CARD, card.model_dump_json(indent=2) + "\n")


def read_card(folder: Path) -> DatasetCard:
    """Raises DataError when `folder` has no card or a broken one."""
    try:
        return DatasetCard.model_validate_json((folder / CARD).read_bytes())
    except (FileNotFoundError, ValidationError) as error:
        raise DataError("not a data set", where=str(folder / CARD), found=str(error)) from error


def read_split(folder: Path, name: SplitName) -> pa.Table:
    return pq.read_table(folder / f"{name}.parquet")


def read_training_keys(files: LakeFiles, name: str) -> pa.Array | None:
    """The text keys that a model of the data set `name` was fitted or chosen on; None when it is gone.

    Raises:
        ArtifactError: its files are not the ones that were stored.
    """
    if not files.exists(name):
        return None
    splits: tuple[SplitName, ...] = ("train", "validation")
    try:
        contents = [files.read(name, f"{split}.parquet") for split in splits]
    except FileNotFoundError:  # its manifest is all that is left
        return None
    tables = [pq.read_table(pa.BufferReader(content), columns=["text_key"]) for content in contents]
    return pa.concat_tables(tables)["text_key"].cast(pa.large_string()).combine_chunks()


def _require_usable(counted: Mapping[SplitName, Mapping[str, int]]) -> None:
    sizes = ", ".join(f"{name} {sum(counted[name].values())}" for name in SPLITS)
    for name in SPLITS:
        if not counted[name]:
            raise DataError(
                f"the split {name} has no rows", where="data set", found=f"rows: {sizes}", remedy=_REMEDY
            )
    if len(counted["train"]) < 2:
        raise DataError(
            "nothing to tell apart: the training rows have one label",
            where="data set",
            expected="at least two labels",
            found=f"{', '.join(counted['train'])}; rows: {sizes}",
            remedy=_REMEDY,
        )
