"""Deal the rows of the mart into train, validation and test. Pure: tables in, tables out.

A row's split depends on its text's duplicate key and the salt, on nothing else: tomorrow's data set has
today's test rows in its test split, and near-duplicates of a row are on its side.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import pyarrow as pa

from lakeloop.spec.split import Split

SplitName = Literal["train", "validation", "test"]
SPLITS: tuple[SplitName, ...] = get_args(SplitName)

_KEPT = ("row_id", "text_key", "partition")
_ORDER = [("partition", "ascending"), ("source_line", "ascending"), ("row_id", "ascending")]


@dataclass(frozen=True)
class Assembled:
    """The three splits, each with the key, the columns of the task, and the day; and what was left out."""

    tables: Mapping[SplitName, pa.Table]
    duplicates: int
    """Rows whose text was there already, in an earlier partition or line."""

    @property
    def rows(self) -> int:
        return sum(table.num_rows for table in self.tables.values())


def deal(text_key: str, split: Split) -> SplitName:
    """The split of the texts with this duplicate key."""
    digest = hashlib.sha256(f"{split.salt}\0{text_key}".encode()).digest()
    share = int.from_bytes(digest[:8]) / 2**64
    if share < split.test:
        return "test"
    return "validation" if share < split.test + split.validation else "train"


def assemble(mart: pa.Table, split: Split, columns: Collection[str]) -> Assembled:
    """Deal the rows of `mart` (its columns, any order of rows); of equal texts the earliest row stays.

    `columns` are those of the task; they come in the order of the mart.
    """
    mart = mart.sort_by(_ORDER)
    chosen: dict[SplitName, list[int]] = {name: [] for name in SPLITS}
    seen: set[str] = set()
    for index, text_key in enumerate(mart["text_key"].to_pylist()):
        if text_key not in seen:
            seen.add(text_key)
            chosen[deal(text_key, split)].append(index)
    rows = mart.select([name for name in mart.column_names if name in (*_KEPT, *columns)])
    tables = {name: rows.take(pa.array(chosen[name], pa.int64())) for name in SPLITS}
    return Assembled(tables, duplicates=mart.num_rows - len(seen))
