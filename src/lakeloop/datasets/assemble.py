"""Deal the rows of the mart into train, validation and test. Pure: tables in, tables out.

A row's split depends on its text's `text_key` and the salt, on nothing else: tomorrow's data set has today's
test rows in its test split, and texts that are alike are on one side. Of near-duplicates one row is taken.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lakeloop.cleaning.length import lengths, outliers
from lakeloop.cleaning.near import joined, repeats
from lakeloop.cleaning.similar import similar as much_alike
from lakeloop.spec.clean import TextLength
from lakeloop.spec.split import Split
from lakeloop.spec.tasks.base import LANGUAGE, TEXT

SplitName = Literal["train", "validation", "test"]
SPLITS: tuple[SplitName, ...] = get_args(SplitName)

_KEPT = ("row_id", "text_key", "partition", LANGUAGE)
_ORDER = [("partition", "ascending"), ("source_line", "ascending"), ("row_id", "ascending")]


@dataclass(frozen=True)
class Assembled:
    """The three splits, each with the key, the columns of the task, and the day; and what was left out."""

    tables: Mapping[SplitName, pa.Table]
    duplicates: int
    """Rows with a near-duplicate in an earlier partition or line."""
    similar: int = 0
    """Other rows that are much like an earlier one, where that was asked for."""
    unusual: int = 0
    """Training rows that are left out for their length, where that was asked for."""

    @property
    def rows(self) -> int:
        return sum(table.num_rows for table in self.tables.values())


def deal(text_key: str, split: Split) -> SplitName:
    """The split of the texts with this key."""
    digest = hashlib.sha256(f"{split.salt}\0{text_key}".encode()).digest()
    share = int.from_bytes(digest[:8]) / 2**64
    if share < split.test:
        return "test"
    return "validation" if share < split.test + split.validation else "train"


def assemble(
    mart: pa.Table,
    split: Split,
    columns: Collection[str],
    reads: Sequence[str] = (TEXT,),
    similar: float | None = None,
    length: TextLength | None = None,
) -> Assembled:
    """Deal the rows of `mart` (its columns, any order of rows); of near-duplicates the earliest row stays.

    `columns` are those of the task, in the order of the mart; rows are alike in those that a model `reads`.
    Of rows that are as `similar` as that (see `cleaning.similar`) the earliest stays as well. Rows whose
    `length` is unusual among those that are left are none to train on.
    """
    mart = mart.sort_by(_ORDER)
    chosen: dict[SplitName, list[int]] = {name: [] for name in SPLITS}
    texts = joined([mart[name] for name in reads])
    repeated = repeats(texts, mart["text_key"])
    left_out = repeated.copy()
    if similar is not None:
        left = np.flatnonzero(~repeated)
        left_out[left[much_alike(texts.take(pa.array(left)), similar)]] = True
    for index, (text_key, gone) in enumerate(zip(mart["text_key"].to_pylist(), left_out, strict=True)):
        if not gone:
            chosen[deal(text_key, split)].append(index)
    unusual = _unusual(mart[TEXT], left_out, length)
    dealt = len(chosen["train"])
    chosen["train"] = [index for index in chosen["train"] if not unusual[index]]
    rows = mart.select([name for name in mart.column_names if name in (*_KEPT, *columns)])
    tables = {name: rows.take(pa.array(chosen[name], pa.int64())) for name in SPLITS}
    again = int(repeated.sum())
    return Assembled(
        tables, duplicates=again, similar=int(left_out.sum()) - again, unusual=dealt - len(chosen["train"])
    )


def _unusual(
    texts: pa.ChunkedArray, left_out: npt.NDArray[np.bool_], length: TextLength | None
) -> npt.NDArray[np.bool_]:
    """Which of `texts` are unusually long or short among those that are not `left_out`."""
    found = np.zeros(len(left_out), dtype=np.bool_)
    if length is not None and length.outliers is not None:
        found[~left_out] = outliers(lengths(texts, length.unit)[~left_out], length.outliers)
    return found
