"""Lines to typed rows, losing none: each line of a file becomes a row or a rejected line, and they add up.

The file is read in blocks of whole lines. A block goes through Arrow at once; when any line of it may be bad,
each small part of it does; and what may be bad there, through Python line by line, which names the line, its
offset and the reason. Memory is that of a block, whatever the size of the file. What a line means is in
`json_lines`; formats whose records can have several lines are not read here but in `csv_records`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from lakeloop.sources.base import Block
from lakeloop.sources.formats.blocks import BOM, BlockMaker, Parser, Record, too_long
from lakeloop.spec.contract import SourceBase

BLOCK_BYTES = 512 * 1024
"""What goes through Arrow at once: large enough for Arrow to be fast."""
SMALL_BLOCKS = 16
"""Of a block with a bad record, so many parts are tried again: the others than its own need not go slow."""
MAX_LINE_BYTES = 1024 * 1024


@dataclass(frozen=True)
class _Piece:
    """Whole lines as bytes, the last one perhaps without its line end; or one line that is too long."""

    data: bytes
    byte_offset: int
    too_long: int = 0
    """Bytes of the line when it is too long; `data` is then its beginning."""


class LineReader:
    """One pass over one file.

    Args:
        file: open at its beginning.
        source: the declared columns and the key.
        block_bytes: size of what is read at once.
        max_line_bytes: a longer line is rejected.
    """

    def __init__(
        self,
        file: BinaryIO,
        source: SourceBase,
        *,
        block_bytes: int = BLOCK_BYTES,
        max_line_bytes: int = MAX_LINE_BYTES,
    ) -> None:
        self._file = file
        self._maker = BlockMaker(source)
        self._block_bytes = block_bytes
        self._max_line_bytes = max_line_bytes
        self._next_line = 1

    def blocks(self, parser: Parser) -> Iterator[Block]:
        """All lines. Raises OSError when the file cannot be read."""
        for piece in self._pieces():
            for block in self._blocks(parser, piece):
                self._next_line += block.read
                yield block

    def _pieces(self) -> Iterator[_Piece]:
        """The file in pieces of whole lines; no more than a block and a line are held at once."""
        held = b""
        offset = 0
        while chunk := self._file.read(self._block_bytes):
            if offset == 0 and not held and chunk.startswith(BOM):
                chunk = chunk[len(BOM) :]
                offset = len(BOM)
            held += chunk
            end = held.rfind(b"\n") + 1
            if end:
                yield _Piece(held[:end], offset)
                offset += end
                held = held[end:]
            elif len(held) > self._max_line_bytes:
                length, rest = self._skip_line(len(held))
                yield _Piece(held[: self._max_line_bytes], offset, too_long=length)
                offset += length + 1
                held = rest
        if held:
            yield _Piece(held, offset)

    def _skip_line(self, length: int) -> tuple[int, bytes]:
        """Read on to the end of a line of which `length` bytes are read: its length, and what follows."""
        while chunk := self._file.read(self._block_bytes):
            head, found, rest = chunk.partition(b"\n")
            length += len(head)
            if found:
                return length, rest
        return length, b""

    def _blocks(self, parser: Parser, piece: _Piece) -> Iterator[Block]:
        start = 0
        while found := self._maker.empty_lines(piece.data, start, self._next_line, piece.byte_offset + start):
            empty, start = found
            yield empty
        if start == len(piece.data):
            return
        piece = replace(piece, data=piece.data[start:], byte_offset=piece.byte_offset + start)
        if block := self._at_once(parser, piece):
            yield block
            return
        for part in self._parts(piece):
            if len(part.data) < len(piece.data) and (block := self._at_once(parser, part)):
                yield block
            else:
                yield from self._maker.one_by_one(parser, self._lines(part))

    def _at_once(self, parser: Parser, piece: _Piece) -> Block | None:
        if piece.too_long or len(piece.data) > self._max_line_bytes:
            return None
        data = piece.data if piece.data.endswith(b"\n") else piece.data + b"\n"
        lines = data.count(b"\n")
        numbers = pa.array(np.arange(self._next_line, self._next_line + lines))
        return self._maker.at_once(parser, data, numbers)

    def _parts(self, piece: _Piece) -> Iterator[_Piece]:
        """A piece in small ones of whole lines."""
        start, step = 0, max(self._block_bytes // SMALL_BLOCKS, 1)
        while not piece.too_long and len(piece.data) - start > step:
            end = piece.data.rfind(b"\n", start, start + step) + 1 or piece.data.find(b"\n", start) + 1
            if not 0 < end < len(piece.data):
                break
            yield _Piece(piece.data[start:end], piece.byte_offset + start)
            start = end
        yield replace(piece, data=piece.data[start:], byte_offset=piece.byte_offset + start)

    def _lines(self, piece: _Piece) -> Iterator[Record]:
        if piece.too_long:
            cut = too_long(piece.too_long, self._max_line_bytes)
            yield Record(self._next_line, piece.byte_offset, piece.data, error=cut)
            return
        offset = piece.byte_offset
        for number, line in enumerate(piece.data.removesuffix(b"\n").split(b"\n"), start=self._next_line):
            content = line.removesuffix(b"\r")
            long = len(content) > self._max_line_bytes
            error = too_long(len(content), self._max_line_bytes) if long else None
            yield Record(number, offset, content[: self._max_line_bytes], error=error)
            offset += len(line) + 1
