"""CSV with a header, one record a line (RFC 4180). A block at once by Arrow, or one line by a pattern.

An empty field is null. The header may leave out declared columns (they are null), never the key.
`parse_block` returns None for a block that it is not sure of; it never accepts what `parse_line` refuses.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import BinaryIO

import pyarrow as pa
import pyarrow.csv as pcsv

from lakeloop.errors import DataError
from lakeloop.lake.tables import UNDECLARED
from lakeloop.sources.base import Block
from lakeloop.sources.formats.lines import LineReader
from lakeloop.sources.rejects import LineError, Reason
from lakeloop.sources.values import Value, cast, parse
from lakeloop.spec.contract import SourceBase
from lakeloop.spec.quoting import plain

# Possessive, so that a hostile line costs no backtracking.
_FIELD = r'(?:"(?:[^"]++|"")*+"|[^",\r\n]*+)'
_LINE = re.compile(rf"{_FIELD}(?:,{_FIELD})*+")
_FIELDS = re.compile(rf"(?:^|,)({_FIELD})")
# Without line ends inside of quotes: Arrow would take them for a record that spans lines.
_PLAIN_FIELD = rb'(?:"(?:[^"\r\n]++|"")*+"|[^",\r\n]*+)'
_BLOCK = re.compile(rb"(?:" + _PLAIN_FIELD + rb"(?:," + _PLAIN_FIELD + rb")*+\r?\n)*+")

# Below a header with the key only, Arrow would take a blank line for a row.
_BLANK_LINE = re.compile(rb"^[ \t\r]*+\n", re.MULTILINE)


def read_csv(file: BinaryIO, where: str, source: SourceBase) -> Iterator[Block]:
    """The records of a CSV file below its header; none of an empty file.

    Raises:
        DataError: the header is not the declared one.
    """
    reader = LineReader(file, source)
    if (header := reader.header()) is not None:
        yield from reader.blocks(CsvLines(source, header, where))


class CsvLines:
    """Parser for lines below `header`.

    `undeclared` counts the rows of the last block, or of the lines since, by column that `source` does not
    declare.

    Raises:
        DataError: the header names a column twice, not the key, or one that is refused because it is not
            declared.
    """

    def __init__(self, source: SourceBase, header: str, where: str) -> None:
        self.undeclared: Counter[str] = Counter()
        self._columns = source.fields
        self._key = source.key_column.found if source.key_column else None
        self._header = split(header) if _LINE.fullmatch(header) else [header]
        self._extra = [name for name in self._header if name not in {each.found for each in source.fields}]
        self._keeps = source.undeclared == "keep"
        refused = self._extra and source.undeclared == "refuse"
        needed = {each.found for each in source.fields if each.name in source.required}
        usable = needed <= set(self._header) and set(self._header) - set(self._extra)
        if refused or len(set(self._header)) != len(self._header) or not usable:
            declared = ", ".join(each.found for each in source.fields)
            others = f", {', '.join(sorted(needed))} among them" if needed else ""
            others += "" if source.undeclared == "refuse" else ", and perhaps others"
            raise DataError(
                "the header is not the one that the loop file declares",
                where=f"{where}, line 1",
                expected=f"{declared} in any order, each once{others}",
                found=plain(", ".join(self._header), limit=500),
                remedy="correct the file, or source.columns in the loop file",
            )
        self._convert = pcsv.ConvertOptions(
            column_types=dict.fromkeys(self._header, pa.string()),
            include_columns=self._header if self._keeps else self._declared,
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
        )

    @property
    def _declared(self) -> list[str]:
        return [name for name in self._header if name not in self._extra]

    def parse_block(self, block: bytes, lines: int) -> list[pa.Array] | None:
        """The columns of a block of whole lines; None when a line may not be a row."""
        if not self._is_plain(block):
            return None
        options = pcsv.ReadOptions(use_threads=False, block_size=len(block) + 1, column_names=self._header)
        try:
            table = pcsv.read_csv(pa.BufferReader(block), read_options=options, convert_options=self._convert)
        except pa.ArrowInvalid:
            return None
        if table.num_rows != lines:
            return None
        columns = []
        for column in self._columns:
            if column.found not in self._header:
                columns.append(cast(pa.nulls(lines, pa.string()), column.type, column.moments))
                continue
            typed = cast(table[column.found].combine_chunks(), column.type, column.moments)
            if typed is None:
                return None
            columns.append(typed)
        if self._keeps:
            rows = table.select(self._extra).to_pylist()
            columns.append(pa.array(list(map(_kept, rows)), pa.string()))
        self.undeclared = Counter(dict.fromkeys(self._extra, lines))
        return columns

    def _is_plain(self, block: bytes) -> bool:
        """Arrow and `parse_line` see the same lines and fields in `block`, or Arrow refuses it."""
        if b"\0" in block or block.count(b"\r") != block.count(b"\r\n"):
            return False
        if len(self._header) == 1 and _BLANK_LINE.search(block):
            return False
        return b'"' not in block or bool(_BLOCK.fullmatch(block))

    def parse_line(self, text: str) -> dict[str, Value | None]:
        """One row. Raises LineError."""
        if not _LINE.fullmatch(text):
            raise LineError(Reason.BROKEN_CSV, "a quote is not closed, or stands inside of a field")
        fields = split(text)
        if len(fields) != len(self._header):
            detail = f"expected {len(self._header)} fields, found {len(fields)}"
            raise LineError(Reason.COLUMN_COUNT, detail)
        texts = dict(zip(self._header, fields, strict=True))
        row_key = (texts[self._key] or None) if self._key else None
        row: dict[str, Value | None] = {}
        for column in self._columns:
            field = texts.get(column.found) or None
            try:
                row[column.stored] = None if field is None else parse(field, column.type, column.moments)
            except ValueError as error:
                detail = f"{column.found}: expected {column.type}, found {field!r:.100} ({error})"
                raise LineError(Reason.WRONG_TYPE, detail, column.found, row_key) from error
        if self._keeps:
            row[UNDECLARED] = _kept({name: texts[name] or None for name in self._extra})
        self.undeclared.update(self._extra)
        return row


def _kept(fields: Mapping[str, str | None]) -> str | None:
    """The undeclared fields of a row that are not empty, as JSON; None when there is none."""
    said = {name: value for name, value in fields.items() if value is not None}
    return json.dumps(said, ensure_ascii=False) if said else None


def split(line: str) -> list[str]:
    """The fields of a line that `_LINE` matches, unquoted."""
    fields = (match[1] for match in _FIELDS.finditer(line))
    return [field[1:-1].replace('""', '"') if field.startswith('"') else field for field in fields]
