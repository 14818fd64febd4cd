"""Lines to typed rows, losing none: each line of a file becomes a row or a rejected line, and they add up.

The file is read in blocks of whole lines. A block goes through Arrow at once; when any line of it may be
bad, through Python line by line, which names the line, its offset and the reason. Memory is that of a
block, whatever the size of the file. What a line means is in `json_lines` and `csv_lines`.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from lakeloop.sources.base import Block, row_schema
from lakeloop.sources.rejects import LineError, Reason, Reject, raw_text
from lakeloop.sources.values import Value
from lakeloop.spec.contract import SourceBase

BLOCK_BYTES = 256 * 1024
"""Small, so that one bad line sends few good ones the slow way; large enough for Arrow to be fast."""
SLOW_LINES = 2048
"""Lines of a `Block` that is read line by line: a rejected line takes 1 KB of memory, however short it is."""
MAX_LINE_BYTES = 1024 * 1024

_BOM = b"\xef\xbb\xbf"


class Parser(Protocol):
    """What a format of lines brings: how a block, and how one line, becomes typed values."""

    undeclared: Counter[str]
    """Field that is not declared -> rows that have it, of what was parsed since this was emptied."""

    def parse_block(self, block: bytes, lines: int) -> list[pa.Array] | None:
        """The columns of `row_schema` but the last, of whole lines; None when a line may not be a row."""

    def parse_line(self, text: str) -> dict[str, Value | None]:
        """One row. Raises LineError."""


@dataclass(frozen=True)
class _Piece:
    """Whole lines as bytes, the last one perhaps without its line end; or one line that is too long."""

    data: bytes
    byte_offset: int
    too_long: int = 0
    """Bytes of the line when it is too long; `data` is then its beginning."""


class LineReader:
    """One pass over one file: perhaps a `header`, then `blocks`.

    A header is not counted as a line of data, but it has number 1.

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
        self._key = source.key_column.stored if source.key_column else None
        self._required = [source.stored(name) for name in source.required]
        self._schema = row_schema(source)
        self._block_bytes = block_bytes
        self._max_line_bytes = max_line_bytes
        self._next_line = 1
        self._unread: list[_Piece] = []
        self._rest = self._pieces()

    def header(self) -> str | None:
        """The first line without its line end, cut where a line is too long; None when the file is empty."""
        piece = next(self._rest, None)
        if piece is None:
            return None
        line, _, rest = piece.data.partition(b"\n")
        if rest:
            self._unread.append(_Piece(rest, piece.byte_offset + len(line) + 1))
        self._next_line += 1
        return raw_text(line.removesuffix(b"\r"))

    def blocks(self, parser: Parser) -> Iterator[Block]:
        """All lines from here on. Raises OSError when the file cannot be read."""
        for piece in itertools.chain(self._unread, self._rest):
            for block in self._blocks(parser, piece):
                self._next_line += block.read
                yield block

    def _pieces(self) -> Iterator[_Piece]:
        """The file in pieces of whole lines; no more than a block and a line are held at once."""
        held = b""
        offset = 0
        while chunk := self._file.read(self._block_bytes):
            if offset == 0 and not held and chunk.startswith(_BOM):
                chunk = chunk[len(_BOM) :]
                offset = len(_BOM)
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
        if piece.too_long:
            error = LineError(Reason.LINE_TOO_LONG, self._too_long(piece.too_long))
            cut = error.at(self._next_line, piece.byte_offset, piece.data)
            yield Block(pa.RecordBatch.from_pylist([], self._schema), (cut,), 1)
            return
        data = piece.data if piece.data.endswith(b"\n") else piece.data + b"\n"
        lines = data.count(b"\n")
        parser.undeclared = Counter()
        columns = parser.parse_block(data, lines) if len(data) <= self._max_line_bytes else None
        if columns is None or any(self._lacks(columns, name) for name in self._required):
            yield from self._line_by_line(parser, data.split(b"\n")[:-1], piece.byte_offset)
            return
        numbers = pa.array(range(self._next_line, self._next_line + lines), pa.int64())
        rows = pa.RecordBatch.from_arrays([*columns, numbers], schema=self._schema)
        yield Block(rows, (), lines, parser.undeclared)

    def _lacks(self, columns: list[pa.Array], name: str) -> bool:
        """Whether a row is null or empty in a column."""
        keys = columns[self._schema.get_field_index(name)]
        if keys.null_count:
            return True
        return pa.types.is_string(keys.type) and bool(pc.any(pc.equal(keys, ""), min_count=0).as_py())

    def _line_by_line(self, parser: Parser, lines: list[bytes], byte_offset: int) -> Iterator[Block]:
        for start in range(0, len(lines), SLOW_LINES):
            parser.undeclared = Counter()
            good: list[dict[str, Value | None]] = []
            rejects: list[Reject] = []
            some = lines[start : start + SLOW_LINES]
            for number, line in enumerate(some, start=self._next_line):
                content = line.removesuffix(b"\r")
                try:
                    good.append({**self._row(parser, content), "source_line": number})
                except LineError as bad:
                    rejects.append(bad.at(number, byte_offset, content[: self._max_line_bytes]))
                byte_offset += len(line) + 1
            rows = pa.RecordBatch.from_pylist(good, self._schema)
            yield Block(rows, tuple(rejects), len(some), parser.undeclared)

    def _row(self, parser: Parser, line: bytes) -> dict[str, Value | None]:
        """One row. Raises LineError."""
        if len(line) > self._max_line_bytes:
            raise LineError(Reason.LINE_TOO_LONG, self._too_long(len(line)))
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            raise LineError(Reason.BAD_UTF8, f"{error.reason} at byte {error.start}") from error
        if "\0" in text:
            raise LineError(Reason.NUL_BYTE, f"a NUL at byte {line.index(0)}")
        if not text.strip(" \t\r"):
            raise LineError(Reason.BLANK_LINE, "nothing in it")
        row = parser.parse_line(text)
        for name, value in row.items():
            if isinstance(value, str) and "\0" in value:
                raise LineError(Reason.NUL_BYTE, f"{name}: has an escaped NUL", name)
        for name in self._required:
            if row[name] in (None, ""):
                reason = Reason.NULL_KEY if name == self._key else Reason.NO_DAY
                raise LineError(reason, f"{name} is null or empty", name)
        return row

    def _too_long(self, length: int) -> str:
        return f"{length} bytes, the limit is {self._max_line_bytes}; the raw line is cut there"
