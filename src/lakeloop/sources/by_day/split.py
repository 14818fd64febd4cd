"""Records to their days: the calendar day of a column, in the loop's time zone.

A record whose day cannot be read is a rejected one already. It goes with the day of the nearest record before
it in its file; before the first day that can be read, with that day. So every record is in one day, once.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import date
from itertools import pairwise
from typing import IO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lakeloop.errors import DataError
from lakeloop.sources.base import Block
from lakeloop.sources.by_day.pieces import PieceWriter
from lakeloop.sources.delivery import FilesDelivery
from lakeloop.sources.portable import reject_line

_EPOCH = date(1970, 1, 1).toordinal()
_IN_MEMORY = 8 << 20


def calendar_days(column: pa.Array, zone: str) -> pa.Array:
    """The day (date32) of timestamps in UTC, as the calendar of `zone` has it; dates are days already."""
    if pa.types.is_date(column.type):
        return column
    local = column if zone == "UTC" else column.cast(pa.timestamp("us", zone))
    return pc.local_timestamp(local).cast(pa.date32())


class Splitter:
    """Splits the records of files by the day in `column` (a name of the rows' schema).

    Raises:
        DataError: no record has a day that can be read.
    """

    def __init__(self, column: str, zone: str, where: str) -> None:
        self._column = column
        self._zone = zone
        self._where = where
        self._last: str | None = None
        """The day of the record before; None before the first one of a file."""
        self._last_of_all: str | None = None

    def split(self, files: FilesDelivery, writer: PieceWriter) -> None:
        """Read the files once and write every record to its day."""
        first_reason = ""
        with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as waiting:
            current: str | None = None
            for block in files.blocks():
                if block.file != current:
                    self._end_file(writer, waiting)
                    current = block.file
                if block.rejects and not first_reason:
                    reject = block.rejects[0]
                    first_reason = f"{block.file}, line {reject.line}: {reject.reason} ({reject.detail})"
                self._block(block, writer, waiting)
            self._end_file(writer, waiting)
            if waiting.tell():
                raise DataError(
                    "no record has a day that can be read",
                    where=self._where,
                    expected=f"a timestamp or date in column {self._column}",
                    found=first_reason,
                    remedy="correct the column in the loop file, or the files",
                )

    def _block(self, block: Block, writer: PieceWriter, waiting: IO[bytes]) -> None:
        file = str(block.file)
        numbers = calendar_days(block.rows[self._column], self._zone).cast(pa.int32()).to_numpy()
        names = {int(number): _name(int(number)) for number in np.unique(numbers)}
        if self._last is None and len(numbers):
            self._last = names[int(numbers[0])]
            _release(waiting, writer, self._last)
        if block.rejects:
            self._rejects(block, file, [names[int(number)] for number in numbers], writer, waiting)
        undeclared = block.undeclared  # of rows of several days: told with the first of these
        for number, rows in _by_day(block.rows, numbers):
            writer.rows(names[number], file, rows, undeclared)
            undeclared = {}
        if len(numbers):
            self._last = self._last_of_all = names[int(numbers[-1])]

    def _rejects(
        self, block: Block, file: str, days: list[str], writer: PieceWriter, waiting: IO[bytes]
    ) -> None:
        lines = block.rows["source_line"].to_numpy()
        for reject in block.rejects:
            before = int(np.searchsorted(lines, reject.line))
            day = days[before - 1] if before else self._last
            line = reject_line(file, reject)
            if day is None:
                waiting.write(line)
            else:
                writer.reject(day, line)

    def _end_file(self, writer: PieceWriter, waiting: IO[bytes]) -> None:
        """A file without a day goes with the last day of the file before; the first ones wait for a day."""
        self._last = None
        if self._last_of_all is not None:
            _release(waiting, writer, self._last_of_all)


def _release(waiting: IO[bytes], writer: PieceWriter, day: str) -> None:
    if not waiting.tell():
        return
    waiting.seek(0)
    for line in waiting:
        writer.reject(day, line)
    waiting.seek(0)
    waiting.truncate()


def _by_day(rows: pa.RecordBatch, days: npt.NDArray[np.int32]) -> Iterator[tuple[int, pa.RecordBatch]]:
    """The rows of each day, in their order."""
    if not len(days):
        return
    if (days == days[0]).all():
        yield int(days[0]), rows
        return
    order = np.argsort(days, kind="stable")
    rows, days = rows.take(pa.array(order)), days[order]
    borders = [0, *(np.flatnonzero(np.diff(days)) + 1).tolist(), len(days)]
    for start, end in pairwise(borders):
        yield int(days[start]), rows.slice(start, end - start)


def _name(day: int) -> str:
    """A day, counted from 1970, as YYYY-MM-DD; a zone can push the first and the last one over the edge."""
    ordinal = min(max(day + _EPOCH, date.min.toordinal()), date.max.toordinal())
    return date.fromordinal(ordinal).isoformat()
