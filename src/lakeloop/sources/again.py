"""Records of a file of text, read again: as they stand in it, by the lines at which they begin.

For rows that were good when they were read and turned out bad later; what a record means is of no interest
here. It ends at the first line end that is not inside of quotes.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import BinaryIO, cast

import numpy as np
import numpy.typing as npt

from lakeloop.sources.rejects import raw_text

_CHUNK = 1 << 20
_LONGEST = 64 << 20
"""Bytes of a record; nothing that long was ever read as a row."""
_BOM = b"\xef\xbb\xbf"
_LINE_END = ord("\n")
Ends = npt.NDArray[np.intp]
"""Where the lines of a chunk end, each behind its line end."""


@dataclass(frozen=True)
class RawRecord:
    """One record as it stands in its file."""

    line: int
    """Number of its first line, from 1."""
    byte_offset: int
    raw: str
    """Without the line end at its end; as in `Reject.raw`."""


def records_at(file: BinaryIO, lines: Collection[int], quote: str | None = None) -> Iterator[RawRecord]:
    """The records of `file`, open at its beginning, whose first line has one of the numbers `lines`.

    Args:
        file: need not be able to seek; it is read no further than needed.
        lines: numbers from 1; what begins at none of the file's records is some part of one.
        quote: between a pair of these a line end belongs to the record; None: every line is one.
    """
    wanted = sorted(lines, reverse=True)
    reader = io.BufferedReader(cast("io.RawIOBase", file), _CHUNK)
    offset, line, starts = 0, 1, True  # of the next chunk; whether its line begins with it
    record: _OpenRecord | None = None
    while (wanted or record) and (chunk := reader.read(_CHUNK)):
        if not offset and chunk.startswith(_BOM):
            chunk, offset = chunk[len(_BOM) :], len(_BOM)
        # Most lines are of no interest: they are counted, not looked at.
        ends = np.flatnonzero(np.frombuffer(chunk, np.uint8) == _LINE_END) + 1
        place = 0
        while True:
            if record is None:
                begin = _next_begin(wanted, line, 0 if starts else -1, ends, place)
                if begin is None or begin == len(chunk):
                    break
                record, place = _OpenRecord(wanted.pop(), offset + begin, (quote or "").encode()), begin
            place = record.read(chunk, place, ends)
            if not record.ended:
                break
            yield record.whole()
            record = None
        offset, line, starts = offset + len(chunk), line + len(ends), chunk.endswith(b"\n")
    if record:
        yield record.whole()


def _next_begin(wanted: list[int], line: int, first: int, ends: Ends, place: int) -> int | None:
    """Where in a chunk the last of `wanted` begins that is not before `place`; those before are taken off.

    Args:
        wanted: numbers of lines, falling.
        line: the number of the line in which the chunk begins.
        first: where that line begins; -1 in a chunk before.
        ends: where the further lines begin.
        place: what is before belongs to a record already.
    """
    while wanted:
        behind = wanted[-1] - line
        if behind > len(ends):
            return None
        begin = first if behind == 0 else int(ends[behind - 1]) if behind > 0 else -1
        if begin >= place:
            return begin
        wanted.pop()
    return None


class _OpenRecord:
    """A record of which the end was not seen yet."""

    def __init__(self, line: int, byte_offset: int, quote: bytes) -> None:
        self._begun = line, byte_offset
        self._quote = quote
        self._content = bytearray()
        self._quotes = 0
        self.ended = False

    def read(self, chunk: bytes, place: int, ends: Ends) -> int:
        """Take what is from `place` on; return where the record ends, or `chunk` does."""
        for end in ends[np.searchsorted(ends, place, side="right") :]:
            self._take(chunk[place:end])
            place = int(end)
            self.ended = self._quotes % 2 == 0
            if self.ended:
                return place
        self._take(chunk[place:])
        return len(chunk)

    def _take(self, part: bytes) -> None:
        if len(self._content) <= _LONGEST:
            self._content += part
            self._quotes += part.count(self._quote) if self._quote else 0

    def whole(self) -> RawRecord:
        return RawRecord(*self._begun, _without_line_end(self._content))


def _without_line_end(content: bytearray) -> str:
    return raw_text(bytes(content).removesuffix(b"\n").removesuffix(b"\r"))
