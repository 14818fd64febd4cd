"""Records of a file of text, read again: as they stand in it, by the lines at which they begin.

For rows that were good when they were read and turned out bad later; what a record means is of no interest
here. It ends at the first line end that is not inside of quotes.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import BinaryIO, cast

from lakeloop.sources.rejects import raw_text

_CHUNK = 1 << 20
_LONGEST = 64 << 20
"""Bytes of a record; nothing that long was ever read as a row."""
_BOM = b"\xef\xbb\xbf"


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
    wanted, quoted = set(lines), (quote or "").encode()
    reader = io.BufferedReader(cast("io.RawIOBase", file), _CHUNK)
    number = offset = 0
    begun: tuple[int, int] | None = None
    content = bytearray()
    starts = True  # the next chunk begins a line
    while (wanted or begun) and (chunk := reader.readline(_CHUNK)):
        if not number and chunk.startswith(_BOM):
            chunk, offset = chunk[len(_BOM) :], len(_BOM)
        number += starts
        if starts and number in wanted:
            wanted.discard(number)
            if not begun:
                begun, content = (number, offset), bytearray()
        offset += len(chunk)
        starts = chunk.endswith(b"\n")
        if begun and len(content) <= _LONGEST:
            content += chunk
        if begun and starts and not (quoted and content.count(quoted) % 2):
            yield RawRecord(*begun, _without_line_end(content))
            begun = None
    if begun:
        yield RawRecord(*begun, _without_line_end(content))


def _without_line_end(content: bytearray) -> str:
    return raw_text(bytes(content).removesuffix(b"\n").removesuffix(b"\r"))
