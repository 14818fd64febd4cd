"""Lines to typed rows, losing none: each line of a drop becomes a row or a rejected line, and they add up.

The file is read in blocks of whole lines. A block goes through Arrow at once; when any line of it may be
bad, through Python line by line, which names the line, its offset and the reason. Memory is that of a
block, whatever the size of the file. What a line means is in `json_lines` and `csv_lines`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from lakeloop.errors import CountsError
from lakeloop.lake.tables import ARROW_TYPES
from lakeloop.sources.csv_lines import CsvLines
from lakeloop.sources.json_lines import JsonLines
from lakeloop.sources.rejects import LineError, Reason, Reject, raw_text
from lakeloop.sources.values import Value
from lakeloop.spec.models import ColumnType

BLOCK_BYTES = 256 * 1024
"""Small, so that one bad line sends few good ones the slow way; large enough for Arrow to be fast."""
MAX_LINE_BYTES = 1024 * 1024

_BOM = b"\xef\xbb\xbf"

Format = Literal["jsonl", "csv"]


class Parser(Protocol):
    """What a format has to know."""

    header_lines: int

    def parse_block(self, block: bytes, lines: int) -> list[pa.Array] | None: ...

    def parse_line(self, text: str) -> dict[str, Value | None]: ...


@dataclass(frozen=True)
class Block:
    """Some consecutive lines, read."""

    rows: pa.RecordBatch
    """The good lines: the declared columns, typed, and `source_line` (int64, from 1)."""
    rejects: tuple[Reject, ...]
    lines: int


@dataclass(frozen=True)
class _Piece:
    """Whole lines as bytes, the last one perhaps without its line end; or one line that is too long."""

    data: bytes
    byte_offset: int
    too_long: int = 0
    """Bytes of the line when it is too long; `data` is then its beginning."""


class LineReader:
    """One pass over one file; iterate it once, then ask for `lines`, `accepted`, `rejected`, `sha256`.

    A header is not counted as a line of data, but it has number 1.

    Raises (while iterating):
        DataError: the header of a CSV file is not the declared one.
        CountsError: rows and rejects of a block do not add up to its lines; a defect of the reader.
        OSError: the file cannot be read.
    """

    def __init__(
        self,
        path: Path,
        columns: Mapping[str, ColumnType],
        *,
        key: str,
        file_format: Format = "jsonl",
        block_bytes: int = BLOCK_BYTES,
        max_line_bytes: int = MAX_LINE_BYTES,
    ) -> None:
        self.path = path
        self.lines = 0
        self.accepted = 0
        self.rejected = 0
        self._columns = dict(columns)
        self._key = key
        self._format = file_format
        self._block_bytes = block_bytes
        self._max_line_bytes = max_line_bytes
        self._sha256 = hashlib.sha256()
        self._schema = pa.schema(
            [*((name, ARROW_TYPES[kind]) for name, kind in columns.items()), ("source_line", pa.int64())]
        )

    @property
    def schema(self) -> pa.Schema:
        """Of `Block.rows`."""
        return self._schema

    @property
    def sha256(self) -> str:
        """Of the bytes read so far; of the file, once the pass is over."""
        return self._sha256.hexdigest()

    def __iter__(self) -> Iterator[Block]:
        with self.path.open("rb") as file:
            pieces = self._pieces(file)
            parser: Parser = JsonLines(self._columns, self._key)
            first_line = 1
            if self._format == "csv":
                header = next(pieces, None)
                if header is None:
                    return
                line, _, rest = header.data.partition(b"\n")
                parser = CsvLines(
                    self._columns, self._key, raw_text(line.removesuffix(b"\r")), str(self.path)
                )
                first_line = 2
                if rest:
                    yield self._block(parser, _Piece(rest, header.byte_offset + len(line) + 1), first_line)
            for piece in pieces:
                yield self._block(parser, piece, first_line + self.lines)

    def _pieces(self, file: BinaryIO) -> Iterator[_Piece]:
        """The file in pieces of whole lines; no more than a block and a line are held at once."""
        held = b""
        offset = 0
        while chunk := file.read(self._block_bytes):
            self._sha256.update(chunk)
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
                length, rest = self._skip_line(file, len(held))
                yield _Piece(held[: self._max_line_bytes], offset, too_long=length)
                offset += length + 1
                held = rest
        if held:
            yield _Piece(held, offset)

    def _skip_line(self, file: BinaryIO, length: int) -> tuple[int, bytes]:
        """Read on to the end of a line of which `length` bytes are read: its length, and what follows."""
        while chunk := file.read(self._block_bytes):
            self._sha256.update(chunk)
            head, found, rest = chunk.partition(b"\n")
            length += len(head)
            if found:
                return length, rest
        return length, b""

    def _block(self, parser: Parser, piece: _Piece, first_line: int) -> Block:
        if piece.too_long:
            error = LineError(Reason.LINE_TOO_LONG, self._too_long(piece.too_long))
            cut = error.at(first_line, piece.byte_offset, piece.data)
            return self._counted(Block(pa.RecordBatch.from_pylist([], self._schema), (cut,), 1))
        data = piece.data if piece.data.endswith(b"\n") else piece.data + b"\n"
        lines = data.count(b"\n")
        columns = parser.parse_block(data, lines) if len(data) <= self._max_line_bytes else None
        if columns is None or self._lacks_key(columns):
            return self._counted(self._line_by_line(parser, data, piece.byte_offset, first_line, lines))
        numbers = pa.array(range(first_line, first_line + lines), pa.int64())
        rows = pa.RecordBatch.from_arrays([*columns, numbers], schema=self._schema)
        return self._counted(Block(rows, (), lines))

    def _lacks_key(self, columns: list[pa.Array]) -> bool:
        keys = columns[self._schema.get_field_index(self._key)]
        if keys.null_count:
            return True
        return pa.types.is_string(keys.type) and bool(pc.any(pc.equal(keys, ""), min_count=0).as_py())

    def _line_by_line(
        self, parser: Parser, data: bytes, byte_offset: int, first_line: int, lines: int
    ) -> Block:
        good: list[dict[str, Value | None]] = []
        rejects: list[Reject] = []
        for number, line in enumerate(data.split(b"\n")[:-1], start=first_line):
            content = line.removesuffix(b"\r")
            try:
                good.append({**self._row(parser, content), "source_line": number})
            except LineError as bad:
                rejects.append(bad.at(number, byte_offset, content[: self._max_line_bytes]))
            byte_offset += len(line) + 1
        return Block(pa.RecordBatch.from_pylist(good, self._schema), tuple(rejects), lines)

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
        if row[self._key] in (None, ""):
            raise LineError(Reason.NULL_KEY, f"{self._key} is null or empty", self._key)
        return row

    def _too_long(self, length: int) -> str:
        return f"{length} bytes, the limit is {self._max_line_bytes}; the raw line is cut there"

    def _counted(self, block: Block) -> Block:
        """Add a block to the counts. Raises CountsError."""
        if block.rows.num_rows + len(block.rejects) != block.lines:
            raise CountsError(
                "rows and rejected lines are not the lines read",
                where=f"{self.path}, after line {self.lines}",
                expected=f"{block.lines} lines",
                found=f"{block.rows.num_rows} rows + {len(block.rejects)} rejected",
                remedy="nothing was published; this is a defect of the reader, report it with the file",
            )
        self.lines += block.lines
        self.accepted += block.rows.num_rows
        self.rejected += len(block.rejects)
        return block
