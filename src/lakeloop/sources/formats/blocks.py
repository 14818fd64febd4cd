"""What a parser says of records becomes blocks: typed rows, and rejects with line, offset and reason.

A `Parser` is what a format of text brings. Where records begin and end is in `lines` and `csv_records`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from lakeloop.sources.base import Block, row_schema
from lakeloop.sources.formats.text import encoding_of, marked_bytes, with_marks_escaped
from lakeloop.sources.rejects import NOTHING, EmptyLines, LineError, Reason, Reject, raw_text
from lakeloop.sources.values import Value
from lakeloop.spec.contract import SourceBase

BOM = b"\xef\xbb\xbf"
_EMPTY_LINES = re.compile(rb"\n{64,16384}+|(?:\r\n){64,16384}+")
_CR = 0x0D
SLOW_RECORDS = 2048
"""Records of a `Block` that is read one by one: a rejected one takes 1 KB of memory, however short it is."""


class Parser(Protocol):
    """What a format of text brings: how a block, and how one record, becomes typed values."""

    undeclared: Counter[str]
    """Field that is not declared -> rows that have it, of what was parsed since this was emptied."""

    def parse_block(self, block: bytes, records: int) -> list[pa.Array] | None:
        """The columns of `row_schema` but the last, of whole records; None when one may not be a row."""

    def parse_record(self, text: str) -> dict[str, Value | None]:
        """One row. Raises LineError."""


class Record(NamedTuple):
    """One record as it was found, good or bad."""

    line: int
    """Number of its first line, from 1."""
    byte_offset: int
    content: bytes
    """Without the line end at its end; cut when it is too long."""
    lines: int = 1
    error: LineError | None = None
    """Why it is bad, where that is known before it is parsed."""


class BlockMaker:
    """Records to blocks.

    Args:
        source: the declared columns.
        blanks: a line of these characters alone is blank.
    """

    def __init__(self, source: SourceBase, blanks: str = " \t\r") -> None:
        self._blanks = blanks
        self._encoding = encoding_of(source)
        self._key = source.key_column.stored if source.key_column else None
        self._required = [source.stored(name) for name in source.required]
        self._schema = row_schema(source)

    def at_once(
        self, parser: Parser, block: bytes, line_numbers: pa.Array, lines: int | None = None
    ) -> Block | None:
        """A block of records that are all good; None when one may not be.

        Args:
            parser: of the format.
            block: whole records.
            line_numbers: for each record, the number of its first line.
            lines: how many lines the block has; None: as many as records.
        """
        parser.undeclared = Counter()
        columns = parser.parse_block(block, len(line_numbers))
        if columns is None or any(self._lacks(columns, name) for name in self._required):
            return None
        rows = pa.RecordBatch.from_arrays([*columns, line_numbers], schema=self._schema)
        return Block(rows, (), len(line_numbers), parser.undeclared, lines=lines)

    def empty_lines(self, data: bytes, place: int, line: int, byte_offset: int) -> tuple[Block, int] | None:
        """A block of the many lines without anything in them that `data` has from `place` on, and their end.

        Args:
            data: some lines, of which one begins at `place`.
            place: in `data`.
            line: the number of that line.
            byte_offset: where it begins in the file.

        Returns:
            None where the next lines are others, or few: they go the way of all.
        """
        found = _EMPTY_LINES.match(data, place)
        if not found:
            return None
        line_end = 2 if data[place] == _CR else 1
        lines = (found.end() - place) // line_end
        rejects = EmptyLines(line, byte_offset, line_end, lines)
        return Block(pa.RecordBatch.from_pylist([], self._schema), rejects, lines), found.end()

    def one_by_one(self, parser: Parser, records: Iterable[Record]) -> Iterator[Block]:
        """Blocks of at most `SLOW_RECORDS` records, good or bad."""
        good: list[dict[str, Value | None]] = []
        rejects: list[Reject] = []
        read, lines = 0, 0
        parser.undeclared = Counter()
        for record in records:
            try:
                if record.error:
                    raise record.error
                good.append({**self.row(parser, record.content), "source_line": record.line})
            except LineError as bad:
                rejects.append(bad.at(record.line, record.byte_offset, self._raw(record.content)))
            read += 1
            lines += record.lines
            if read == SLOW_RECORDS:
                yield self._block(good, rejects, parser, lines)
                good, rejects, read, lines = [], [], 0, 0
                parser.undeclared = Counter()
        if read:
            yield self._block(good, rejects, parser, lines)

    def row(self, parser: Parser, content: bytes) -> dict[str, Value | None]:
        """One row. Raises LineError."""
        try:
            text = content.decode()
        except UnicodeDecodeError as error:
            if self._encoding and (strange := marked_bytes(content)):
                detail = f"not {self._encoding}: \\x{strange[0]:02x}"
                raise LineError(Reason.BAD_ENCODING, detail) from error
            raise LineError(Reason.BAD_UTF8, f"{error.reason} at byte {error.start}") from error
        if "\0" in text:
            raise LineError(Reason.NUL_BYTE, f"a NUL at byte {content.index(0)}")
        if not text.strip(self._blanks):
            raise LineError(Reason.BLANK_LINE, NOTHING)
        return self.checked(parser.parse_record(text))

    def checked(self, row: dict[str, Value | None]) -> dict[str, Value | None]:
        """`row`, when it has what no row may lack and nothing that none may have. Raises LineError."""
        for name, value in row.items():
            if isinstance(value, str) and "\0" in value:
                raise LineError(Reason.NUL_BYTE, f"{name}: has an escaped NUL", name)
        for name in self._required:
            if row[name] in (None, ""):
                reason = Reason.NULL_KEY if name == self._key else Reason.NO_DAY
                raise LineError(reason, f"{name} is null or empty", name)
        return row

    def _raw(self, content: bytes) -> str:
        return with_marks_escaped(content) if self._encoding and marked_bytes(content) else raw_text(content)

    def _block(
        self, good: list[dict[str, Value | None]], rejects: list[Reject], parser: Parser, lines: int
    ) -> Block:
        rows = pa.RecordBatch.from_pylist(good, self._schema)
        return Block(rows, tuple(rejects), len(good) + len(rejects), parser.undeclared, lines=lines)

    def _lacks(self, columns: list[pa.Array], name: str) -> bool:
        """Whether a row is null or empty in a column."""
        keys = columns[self._schema.get_field_index(name)]
        if keys.null_count:
            return True
        return pa.types.is_string(keys.type) and bool(pc.any(pc.equal(keys, ""), min_count=0).as_py())


def one_array(column: pa.ChunkedArray) -> pa.Array:
    """The values of `column` in one array; it is not copied when it has one chunk."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def too_long(length: int, limit: int, lines: int = 1) -> LineError:
    """The error of a record of `length` bytes, of which the first `limit` are kept."""
    size = f"{length} bytes" + (f" in {lines} lines" if lines > 1 else "")
    return LineError(Reason.LINE_TOO_LONG, f"{size}, the limit is {limit}; the raw line is cut there")
