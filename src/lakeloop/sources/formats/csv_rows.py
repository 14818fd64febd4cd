"""CSV with a header (RFC 4180): what its records mean. A block at once, or one record by a pattern.

An empty field is null. The header may leave out declared columns (they are null), never the key.
`parse_block` returns None for a block that it is not sure of; it never accepts what `parse_record` refuses.
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
from lakeloop.sources.formats.blocks import BOM, one_array
from lakeloop.sources.formats.csv_fields import columns_of_text
from lakeloop.sources.formats.csv_grammar import CsvGrammar
from lakeloop.sources.formats.csv_records import CsvReader
from lakeloop.sources.formats.text import text_of
from lakeloop.sources.rejects import LineError, Reason
from lakeloop.sources.values import Value, cast, parse
from lakeloop.spec.contract import SourceBase
from lakeloop.spec.dialect import NO_QUOTE, TextDialect
from lakeloop.spec.quoting import plain, quote

# Below a header with one name, a blank line would be taken for a row.
_BLANK_LINE = re.compile(rb"^[ \t\r]*+\n", re.MULTILINE)


def read_csv(file: BinaryIO, where: str, source: SourceBase) -> Iterator[Block]:
    """The records of a CSV file below its header; none of an empty file.

    Raises:
        DataError: the header is not the declared one, or the file is not text.
    """
    grammar = grammar_of(source)
    reader = CsvReader(text_of(file, where, source), source, grammar)
    if (header := reader.header()) is not None:
        yield from reader.blocks(CsvRows(source, header, where, grammar))


def grammar_of(source: SourceBase) -> CsvGrammar:
    """The grammar that the loop file declares."""
    if not isinstance(source, TextDialect):
        return CsvGrammar()
    return CsvGrammar(source.delimiter, None if source.quote == NO_QUOTE else source.quote)


class CsvRows:
    """Parser for records below `header`.

    `undeclared` counts the rows of the last block, or of the records since, by column that `source` does not
    declare.

    Raises:
        DataError: the header names a column twice, not the key, or one that is refused because it is not
            declared.
    """

    def __init__(self, source: SourceBase, header: str, where: str, grammar: CsvGrammar) -> None:
        self.undeclared: Counter[str] = Counter()
        self._columns = source.fields
        self._key = source.key_column.found if source.key_column else None
        self._grammar = grammar
        self._header = grammar.split(header) or [header]
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

        self._parse = pcsv.ParseOptions(
            delimiter=grammar.delimiter, quote_char=grammar.quote or False, newlines_in_values=True
        )
        self._convert = pcsv.ConvertOptions(
            column_types=dict.fromkeys(self._header, pa.string()),
            include_columns=self._asked,
            check_utf8=False,  # all of the block is
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
        )

    @property
    def _asked(self) -> list[str]:
        return [name for name in self._header if self._keeps or name not in self._extra]

    def parse_block(self, block: bytes, records: int) -> list[pa.Array] | None:
        """The columns of records that the grammar accepts; None when one may not be a row."""
        if b"\0" in block or block.startswith(BOM):  # a mark that `parse_record` has for a part of the field
            return None
        if not _is_utf_8(block) or (len(self._header) == 1 and _BLANK_LINE.search(block)):
            return None
        if self._grammar.next_quote(block, 0, len(block)) >= 0:
            texts = self._by_parser(block, records)
        else:
            texts = self._by_places(block, records)
        if texts is None:
            return None
        columns = []
        for column in self._columns:
            text = texts.get(column.found)
            if text is None:
                text = pa.nulls(records, pa.string())
            typed = cast(text, column.type, column.moments)
            if typed is None:
                return None
            columns.append(typed)
        if self._keeps:
            extra = [texts[name].to_pylist() for name in self._extra]
            kept = [_kept(dict(zip(self._extra, row, strict=True))) for row in zip(*extra, strict=True)]
            columns.append(pa.array(kept if extra else [None] * records, pa.string()))
        self.undeclared = Counter(dict.fromkeys(self._extra, records))
        return columns

    def _by_places(self, block: bytes, records: int) -> dict[str, pa.Array] | None:
        """The texts of the columns that are asked for."""
        places = [self._header.index(name) for name in self._asked]
        found = columns_of_text(block, self._grammar.delimiter, len(self._header), records, places)
        return dict(zip(self._asked, found, strict=True)) if found else None

    def _by_parser(self, block: bytes, records: int) -> dict[str, pa.Array] | None:
        """The same where there are quotes."""
        options = pcsv.ReadOptions(use_threads=False, block_size=len(block) + 1, column_names=self._header)
        try:
            table = pcsv.read_csv(pa.BufferReader(block), options, self._parse, self._convert)
        except pa.ArrowInvalid:
            return None
        return {name: one_array(table[name]) for name in self._asked} if table.num_rows == records else None

    def parse_record(self, text: str) -> dict[str, Value | None]:
        """One row. Raises LineError."""
        fields = self._grammar.split(text)
        if fields is None:
            number, fault = self._grammar.fault(text)
            named = self._header[number] if number < len(self._header) else None
            name = f" ({plain(named)})" if named else ""
            raise LineError(Reason.BROKEN_CSV, f"field {number + 1}{name}: {fault}", named)
        if len(fields) != len(self._header):
            detail = f"expected {len(self._header)} fields, found {len(fields)}"
            raise LineError(Reason.COLUMN_COUNT, detail)
        texts = dict(zip(self._header, fields, strict=True))
        row_key = (texts[self._key] or None) if self._key else None
        row: dict[str, Value | None] = {}
        for column in self._columns:
            field = texts.get(column.found, "")
            try:
                row[column.stored] = parse(field, column.type, column.moments) if field else None
            except ValueError as error:
                detail = f"{column.found}: expected {column.type}, found {quote(str(field))} ({error})"
                raise LineError(Reason.WRONG_TYPE, detail, column.found, row_key) from error
        if self._keeps:
            row[UNDECLARED] = _kept({name: texts[name] or None for name in self._extra})
        self.undeclared.update(self._extra)
        return row


def _is_utf_8(block: bytes) -> bool:
    if block.isascii():
        return True
    try:
        block.decode()
    except UnicodeDecodeError:
        return False
    return True


def _kept(fields: Mapping[str, str | None]) -> str | None:
    """The undeclared fields of a row that are not empty, as JSON; None when there is none."""
    said = {name: value for name, value in fields.items() if value is not None}
    return json.dumps(said, ensure_ascii=False) if said else None
