"""A data set as a folder: three Parquet files and a card, named by the digest of their rows.

Which rows are in it is `assemble`'s business. The folder is immutable: it is written once into the lake and
fetched whole by training (without its test rows) and by evaluation.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ConfigDict, JsonValue, ValidationError, model_validator

from lakeloop.datasets.assemble import Assembled
from lakeloop.datasets.dealing import SPLITS, SplitName
from lakeloop.durable import write_atomically
from lakeloop.errors import DataError
from lakeloop.lake.digest import content_digest
from lakeloop.records import Formatted, fingerprint
from lakeloop.spec import tasks as spec
from lakeloop.spec.identity import decisive
from lakeloop.tasks.base import Profile
from lakeloop.tasks.reading import Instance, instances_of
from lakeloop.tasks.registry import task_of

if TYPE_CHECKING:
    from lakeloop.lake.files import LakeFiles
    from lakeloop.spec.tasks.base import TaskBase

CARD = "dataset.json"
FORMAT = 2
"""Version of cards: 1 had the keys of the first kind of task."""
_REMEDY = "publish more partitions, or change split in the loop file"


class DatasetCard(Formatted):
    """What is in a data set and what it was made from.

    The version of the mart is not in it but in the ledger: equal rows of two versions are one data set.
    """

    newest_format: ClassVar[int] = FORMAT
    model_config = ConfigDict(extra="ignore")  # cards that were frozen earlier hold mart_version, and more

    format: int = FORMAT
    digest: str
    """sha256 over the rows of each split and what the task says of them; not over the files."""
    task: dict[str, JsonValue]
    """What of the loop file's task decides the rows: its `kind`, and more."""
    target: str
    """Column with the right answer."""
    rows: dict[SplitName, int]
    profiles: dict[SplitName, Profile]
    """How the target is spread over each split."""
    duplicates: int
    """Rows left out because their text was there already."""
    partitions: dict[str, str]
    """Day -> content digest of its rows in the mart."""

    @model_validator(mode="before")
    @classmethod
    def _lift_format_1(cls, content: Any) -> Any:
        if isinstance(content, dict) and "task" not in content and "digest" in content:
            from lakeloop.tasks.classification import card_of_format_1

            return {**card_of_format_1(content), "format": 1}
        return content

    @property
    def folder_name(self) -> str:
        """Name of the folder in the lake."""
        return folder_name_of(self.digest)


def folder_name_of(digest: str) -> str:
    """Name in the lake of the data set with this digest."""
    return f"datasets/{digest[:16]}"


def describe(assembled: Assembled, section: spec.Task, partitions: Mapping[str, str]) -> DatasetCard:
    """The card of a data set for the task of `section`.

    Raises:
        DataError: a split has no rows, or there is nothing to learn from the training rows.
    """
    task, tables = task_of(section), assembled.tables
    targets: dict[str, Any] = {name: task.truths(tables[name]) for name in SPLITS}
    _require_rows(tables)
    task.require_learnable(targets, where="data set")
    said = decisive(section, "dataset")
    digests = {name: content_digest(tables[name]) for name in SPLITS}
    return DatasetCard(
        digest=fingerprint(**task.digested(said), splits=digests),
        task=said,
        target=task.target,
        rows={name: tables[name].num_rows for name in SPLITS},
        profiles={name: task.profile(targets[name]) for name in SPLITS},
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
    """Raises DataError when `folder` has no card, a broken one, or one of a newer version of Lakeloop."""
    try:
        content = (folder / CARD).read_bytes()
        return DatasetCard.model_validate_json(content, context={"where": str(folder / CARD)})
    except (FileNotFoundError, ValidationError) as error:
        raise DataError("not a data set", where=str(folder / CARD), found=str(error)) from error


def read_split(folder: Path, name: SplitName) -> pa.Table:
    """The rows of one split, as `write_dataset` wrote them."""
    return pq.read_table(folder / f"{name}.parquet")


def held_back(files: LakeFiles, digest: str, task: TaskBase, most: int) -> list[Instance]:
    """The first test rows of the data set with this digest in the lake, as a model is asked for them.

    Raises:
        ArtifactError: there is no such data set, or not as it was stored.
    """
    with tempfile.TemporaryDirectory(prefix="rows-") as scratch:
        folder = files.fetch(folder_name_of(digest), Path(scratch) / "dataset")
        return instances_of(task, read_split(folder, "test").slice(0, most))


def read_training_keys(files: LakeFiles, name: str) -> pa.Array | None:
    """The text keys that a model of the data set `name` was fitted or chosen on; None when the set is gone.

    Raises:
        ArtifactError: the files of the data set are not the ones that were stored.
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


def newest_day(files: LakeFiles, digest: str) -> str:
    """The newest day of the data set with this digest; empty where the data set is gone.

    Raises:
        ArtifactError: its card is not the one that was stored.
    """
    name = folder_name_of(digest)
    try:
        content = files.read(name, CARD) if digest and files.exists(name) else None
    except FileNotFoundError:  # its manifest is all that is left
        content = None
    if content is None:
        return ""
    card = DatasetCard.model_validate_json(content, context={"where": files.uri(name)})
    return max(card.partitions, default="")


def untested(card: DatasetCard) -> tuple[str, ...]:
    """The answers that training rows of a data set have and its test rows do not."""
    learnt, tested = card.profiles["train"].shares, card.profiles["test"].shares
    return tuple(name for name, share in learnt.items() if share and tested.get(name) == 0)


def _require_rows(tables: Mapping[SplitName, pa.Table]) -> None:
    sizes = ", ".join(f"{name} {tables[name].num_rows}" for name in SPLITS)
    for name in SPLITS:
        if not tables[name].num_rows:
            raise DataError(
                f"the split {name} has no rows", where="data set", found=f"rows: {sizes}", remedy=_REMEDY
            )
