"""Which rows of a delivery become rows of `raw`: all but those that are equal to one before.

A row goes on to the table at once when a filter, which is wrong about few, says that no row before can have
been equal. The others wait on the local disk until all are read; then their marks are compared with those of
all rows, and rows with equal marks by sha256. In memory are the filter, the marks of a million rows
(`repeats`), and eight bytes for each row that waits.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lakeloop.lake.digest import row_hashes
from lakeloop.lake.marks import MarkedDigest, Marks, column_marks, marks_of
from lakeloop.lake.tables import raw_schema
from lakeloop.sources.repeats import Met, Repeats
from lakeloop.sources.spool import Spool
from lakeloop.spec.loop import LoopSpec

_Places = npt.NDArray[np.intp]


class Rows(Protocol):
    """Where rows are kept: a draft of a table, or a file."""

    rows: int
    """How many there are."""

    def append(self, batch: pa.RecordBatch) -> None:
        """Keep some more, with all columns of `raw`."""

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All of them in their order; the column `partition` may be missing."""


class Accepted:
    """The rows of one delivery on their way into `raw`. To be closed (`with`).

    Args:
        raw: takes the rows of the table.
        loop: declares the columns.
        partition: the day.
        folder: on the local disk, for what waits.
    """

    def __init__(self, raw: Rows, loop: LoopSpec, partition: str, folder: Path) -> None:
        source = loop.source
        self.duplicates = 0
        """Rows that were left out, once all is settled."""
        self._raw = raw
        self._schema = raw_schema(loop)
        self._partition = partition
        self._declared = [column.stored for column in source.fields]
        self._key = source.key_column.stored if source.key_column else None
        self._named_by_content = source.key_from == "content"
        self._waiting = Spool(self._schema, folder)
        self._places: list[_Places] = [np.empty(0, np.intp)]
        """Of the rows that wait, among all that came."""
        self._came = 0
        self._met = Met()
        self._same: dict[str, pa.Array] = {}
        """A text, as often as there were rows at once."""
        self._by_row = Repeats()
        self._by_key = Repeats()
        self._digest = MarkedDigest()

    def add(self, batch: pa.RecordBatch, file: str) -> None:
        """Rows as `row_schema` has them, from the file `file`."""
        rows, marks = self._whole(batch, file), self._marks(batch)
        self._by_row.add(marks)
        perhaps = self._met.seen(marks)
        if perhaps.any():
            self._waiting.append(rows.filter(pa.array(perhaps)))
            self._places.append(self._came + np.flatnonzero(perhaps))
            rows, marks = rows.filter(pa.array(~perhaps)), marks[:, ~perhaps]
        self._came += batch.num_rows
        self._accept(rows, marks, file)

    def settle(self) -> None:
        """Accept those that waited and are equal to none before; nothing can be added afterwards."""
        places = np.concatenate(self._places)
        if not len(places):
            return
        alike = self._by_row.alike().places
        dubious = np.isin(places, alike)
        self._accept_waiting(~dubious)
        if dubious.any():
            repeated = self._repeated(places, alike)
            self._accept_waiting(dubious & ~np.isin(places, repeated))
            self.duplicates = len(repeated)

    def repeated_keys(self) -> int:
        """Rows whose key was there before, in a row that differs elsewhere."""
        if self._key is None:
            return 0
        keys = self._by_key.alike()
        return len(keys.places) - keys.marks - self.duplicates

    def digest(self) -> str:
        """The digest of the rows that were accepted."""
        return self._digest.hexdigest()

    def _marks(self, batch: pa.RecordBatch) -> Marks:
        """By the declared columns."""
        marks = marks_of(batch, [name for name in self._declared if name != self._key])
        if self._key:
            key = column_marks(self._key, batch[self._key])
            self._by_key.add(key)
            marks += key
        return marks

    def _whole(self, batch: pa.RecordBatch, file: str) -> pa.RecordBatch:
        """`batch` with all columns of the table."""
        hashes = pa.nulls(batch.num_rows, pa.string())
        if self._named_by_content:
            hashes = pa.array([value.hex() for value in row_hashes(batch, self._declared)], pa.string())
        ours = {
            "row_hash": hashes,
            "source_file": self._repeated_text(file, batch.num_rows),
            "partition": self._repeated_text(self._partition, batch.num_rows),
        }
        columns = [ours[name] if name in ours else batch[name] for name in self._schema.names]
        return pa.RecordBatch.from_arrays(columns, schema=self._schema)

    def _repeated_text(self, text: str, rows: int) -> pa.Array:
        if text not in self._same or len(self._same[text]) < rows:
            kept = {other: column for other, column in self._same.items() if other == self._partition}
            self._same = {**kept, text: pa.repeat(pa.scalar(text, pa.string()), rows)}
        return self._same[text].slice(0, rows)

    def _accept(self, rows: pa.RecordBatch, marks: Marks, file: str) -> None:
        """Rows of one file; `marks` are by the declared columns."""
        same = {"source_file": file, "partition": self._partition}
        ours = [name for name in self._schema.names if name not in self._declared and name not in same]
        marks = marks + marks_of(rows, ours)
        for name, value in same.items():
            marks += _marks_of_one(name, value)
        self._digest.add(marks)
        self._raw.append(rows)

    def _accept_waiting(self, accepted: npt.NDArray[np.bool_]) -> None:
        """Of the rows that waited, those where `accepted` says so."""
        start = 0
        for batch in self._waiting.batches() if accepted.any() else ():
            here = accepted[start : start + batch.num_rows]
            start += batch.num_rows
            if here.any():
                rows = batch.filter(pa.array(here))
                self._digest.update(rows)
                self._raw.append(rows)

    def _repeated(self, places: _Places, alike: _Places) -> _Places:
        """Of the rows that waited, those equal to one before; by sha256 of all that have equal marks.

        Args:
            places: of the rows that waited.
            alike: of the rows with equal marks.
        """
        at_once = np.setdiff1d(alike, places, assume_unique=True)
        # Those that wait are missing before it.
        hashes = self._hashes(self._raw, at_once - np.searchsorted(places, at_once))
        waited = np.intersect1d(places, alike, assume_unique=True)
        hashes += self._hashes(self._waiting, np.searchsorted(places, waited))
        of = np.concatenate([at_once, waited])
        found = np.array(hashes, "S32")
        order = np.lexsort((of, found))
        again = found[order[1:]] == found[order[:-1]]
        return np.sort(of[order[1:][again]])

    def _hashes(self, rows: Rows, numbers: _Places) -> list[bytes]:
        """sha256 of the rows with these numbers, which are in order."""
        hashes: list[bytes] = []
        start = 0
        for batch in rows.batches() if len(numbers) else ():
            first, behind = np.searchsorted(numbers, (start, start + batch.num_rows))
            if behind > first:
                chosen = batch.select(self._declared).take(pa.array(numbers[first:behind] - start))
                # Without what the table keeps about its columns, which would count.
                hashes += row_hashes(pa.RecordBatch.from_arrays(chosen.columns, names=self._declared))
            start += batch.num_rows
        return hashes

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._waiting.__exit__(kind, error, trace)


@lru_cache(maxsize=16)
def _marks_of_one(name: str, value: str) -> Marks:
    return column_marks(name, pa.array([value]))
