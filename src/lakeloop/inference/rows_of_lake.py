"""Rows of the tables `raw` and `mart` as a model is asked for them, piece by piece."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import pyarrow as pa

from lakeloop.inference.rows_of_files import PIECE, Asked, Columns, as_asked
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.tasks.base import TEXT, TEXT_PAIR
from lakeloop.tasks.reading import Reading

_FILE, _LINE = "source_file", "source_line"


class TableColumns(NamedTuple):
    """How columns of a table of the lake are called there."""

    of_file: Columns
    """By their names in the loop file."""
    stored: Mapping[str, str]
    """Name in the loop file -> name in the table."""

    @classmethod
    def of(cls, loop: LoopSpec, table: str) -> TableColumns:
        """Those of `raw` or `mart` that a model of `loop` reads, and the one that names a row."""
        task, source = loop.task, loop.source
        of_file = Columns.of(task, source.key or "row")
        if table == "raw":
            stored = {name: source.stored(name) for name in of_file.needed}
            key = source.stored(source.key) if source.key else "row_hash"
            return cls(of_file, {**stored, of_file.key: key})
        stored = {each.name: each.column for each in task.features}
        pair = {of_file.text_pair: TEXT_PAIR} if of_file.text_pair else {}
        return cls(of_file, {**stored, **pair, of_file.text: TEXT, of_file.key: "row_id"})

    @property
    def names(self) -> list[str]:
        """The columns to read, as the table calls them."""
        return list(dict.fromkeys((*self.stored.values(), _FILE, _LINE)))


def pieces_of_table(
    batches: Iterable[pa.RecordBatch], columns: TableColumns, reads: Reading
) -> Iterator[list[Asked]]:
    """The rows of `batches`, which have the columns `columns.names`, at most `PIECE` at a time."""
    for batch in batches:
        for first in range(0, batch.num_rows, PIECE):
            rows = batch.slice(first, PIECE).to_pylist()
            yield [
                as_asked(
                    {name: row[stored] for name, stored in columns.stored.items()},
                    columns.of_file,
                    reads,
                    row[_FILE],
                    row[_LINE],
                )
                for row in rows
            ]
