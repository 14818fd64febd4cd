"""JSON Lines: one object a line. A block at once by Arrow, or one line by Python's parser.

`parse_block` returns None for a block that it is not sure of; `parse_record` then decides line by line. What
`parse_record` refuses is never accepted by `parse_block`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, BinaryIO, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.json as pj

from lakeloop.lake.tables import ARROW_TYPES, UNDECLARED
from lakeloop.sources.base import Block
from lakeloop.sources.formats.blocks import one_array
from lakeloop.sources.formats.lines import LineReader
from lakeloop.sources.formats.text import text_of
from lakeloop.sources.rejects import LineError, Reason
from lakeloop.sources.values import (
    Value,
    cast,
    finite,
    parse,
    require_exact,
    require_finite,
    require_int64,
    since_1970,
    since_1970_column,
    surely_exact,
)
from lakeloop.spec.columns import Column
from lakeloop.spec.contract import SourceBase
from lakeloop.spec.quoting import plain

_AS_TEXT = ("timestamp", "date")  # JSON has no such type: strings, parsed by `values`
_LINE_END, _OPENS, _CLOSES = b"\n{}"


def read_json_lines(file: BinaryIO, where: str, source: SourceBase) -> Iterator[Block]:
    """The records of a file of JSON Lines.

    Raises:
        DataError: the file is not text.
    """
    yield from LineReader(text_of(file, where, source), source).blocks(JsonLines(source))


class JsonLines:
    """Parser for lines with the columns that `source` declares; a column that is not in an object is null.

    `undeclared` counts the fields of the last block, or of the lines since, that `source` does not declare.
    """

    def __init__(self, source: SourceBase) -> None:
        self.undeclared: Counter[str] = Counter()
        self._columns = source.fields
        self._names = {column.found for column in source.fields}
        self._key = source.key_column
        self._policy = source.undeclared
        self._met_others = False  # once there were undeclared fields, others will follow
        schema = pa.schema([(column.found, _asked_for(column)) for column in source.fields])
        self._exact = pj.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error")
        self._lenient = pj.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")

    def parse_block(self, block: bytes, lines: int) -> list[pa.Array] | None:
        """The columns of a block of whole lines; None when a line may not be a row."""
        if b"\r" in block:
            block = block.replace(b"\r\n", b"\n")
        if not _all_in_braces(block, lines) or b"\0" in block:
            return None
        if b"\\" in block and b"\\u0000" in block:
            return None
        table = None if self._met_others else self._read(block, self._exact)
        if table is None and self._policy == "ignore":
            table = self._read(block, self._lenient)
            if table is None or not self._counted(block):
                return None
            self._met_others = True
        if table is None or table.num_rows != lines:
            return None
        columns = []
        for column in self._columns:
            typed = _typed(one_array(table[column.found]), column)
            if typed is None:
                return None
            columns.append(typed)
        if self._policy == "keep":
            columns.append(pa.nulls(lines, pa.string()))
        return columns

    def _read(self, block: bytes, parse_options: pj.ParseOptions) -> pa.Table | None:
        options = pj.ReadOptions(use_threads=False, block_size=len(block) + 1)
        try:
            table = pj.read_json(pa.BufferReader(block), read_options=options, parse_options=parse_options)
            table.validate(full=True)  # Arrow's JSON reader lets bytes through that are not UTF-8
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return None
        return table

    def _counted(self, block: bytes) -> bool:
        """Count the undeclared fields of a block; False when Python sees something else in it than Arrow.

        Arrow skips what it was not asked for, without a look whether it is text, or there twice.
        """
        counts: Counter[str] = Counter()
        try:
            for line in block.decode().split("\n")[:-1]:
                counts.update(name for name in _object(line) if name not in self._names)
        except (LineError, UnicodeDecodeError):
            return False
        self.undeclared = counts
        return True

    def parse_record(self, text: str) -> dict[str, Value | None]:
        """One row. Raises LineError."""
        row = _object(text)
        found = row.get(self._key.found) if self._key else None
        row_key = str(found) if isinstance(found, str | int | float) else None
        extra = [name for name in row if name not in self._names]
        if extra and self._policy == "refuse":
            raise LineError(Reason.EXTRA_FIELD, f"not declared: {', '.join(extra)}"[:500], extra[0], row_key)
        if self._key and self._key.found not in row:
            raise LineError(Reason.MISSING_KEY, f"no field {self._key.found!r}", self._key.found)
        values = {
            column.stored: self._value(row.get(column.found), column, row_key) for column in self._columns
        }
        if self._policy == "keep":
            values[UNDECLARED] = _as_json({name: row[name] for name in extra}) if extra else None
        self.undeclared.update(extra)
        return values

    def _value(self, value: Any, column: Column, row_key: str | None) -> Value | None:
        if value is None:
            return None
        try:
            return _strict(value, column)
        except UnicodeEncodeError as error:
            detail = f"{column.found}: half of a surrogate pair"
            raise LineError(Reason.BAD_UTF8, detail, column.found, None) from error
        except (ValueError, OverflowError) as error:
            found = f"{_kind_of(value)} {plain(json.dumps(value, ensure_ascii=False))}"
            detail = f"{column.found}: expected {column.type}, found {found}"
            detail += f" ({error})" if str(error) else ""
            key = None if column is self._key else row_key
            raise LineError(Reason.WRONG_TYPE, detail, column.found, key) from error


def _all_in_braces(block: bytes, lines: int) -> bool:
    """Whether each of the `lines` lines of `block` begins and ends with a brace.

    No string can hold a raw line end: so no object spans lines, and as many objects as lines means one
    object in each.
    """
    if not (block.startswith(b"{") and block.endswith(b"}\n")):
        return False
    content = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero(content[:-1] == _LINE_END)
    if len(ends) != lines - 1:
        return False
    return bool((content[ends - 1] == _CLOSES).all() and (content[ends + 1] == _OPENS).all())


def _asked_for(column: Column) -> pa.DataType:
    """The type that Arrow is to read; what JSON has no type for is text, or a number since 1970."""
    if column.moments.unit:
        return pa.int64()
    return pa.string() if column.type in _AS_TEXT else ARROW_TYPES[column.type]


def _typed(values: pa.Array, column: Column) -> pa.Array | None:
    if column.moments.unit:
        return since_1970_column(values, column.moments.unit)
    if column.type in _AS_TEXT:
        return cast(values, column.type, column.moments)
    if column.type != "number":
        return values
    found = finite(values)
    return None if found is None else surely_exact(found)


def _strict(value: Any, column: Column) -> Value:
    """`value` when JSON itself gave it the type of `column`; nothing is converted. Raises ValueError."""
    kind = column.type
    if isinstance(value, str):
        value.encode()
        if kind == "string" or kind in _AS_TEXT:
            return parse(value, kind, column.moments)
    elif isinstance(value, bool):
        if kind == "boolean":
            return value
    elif isinstance(value, int | float):
        return _number(value, column)
    raise ValueError


def _number(value: float, column: Column) -> Value:
    if column.type == "integer" and (isinstance(value, int) or value.is_integer()):
        return require_int64(int(value))
    if column.type == "number":
        found = require_finite(float(value))
        return require_exact(value, found) if isinstance(value, int) else found
    if column.moments.unit:
        return since_1970(value if isinstance(value, int) else repr(value), column.moments.unit)
    if column.moments.format and isinstance(value, int):  # 20260101
        return parse(str(value), column.type, column.moments)
    raise ValueError


def _object(text: str) -> dict[str, Any]:
    """The object that a line is. Raises LineError."""
    try:
        row = json.loads(text, object_pairs_hook=_distinct, parse_constant=_no_constant)
    except RecursionError as error:
        raise LineError(Reason.BROKEN_JSON, "nested too deeply") from error
    except ValueError as error:
        raise LineError(Reason.BROKEN_JSON, str(error)) from error
    if not isinstance(row, dict):
        raise LineError(Reason.NOT_AN_OBJECT, f"expected an object, found {_kind_of(row)}")
    return row


def _as_json(fields: dict[str, Any]) -> str:
    """As text that a table can hold: half a surrogate pair stays escaped."""
    text = json.dumps(fields, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(fields)
    return text


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise LineError(Reason.DUPLICATE_FIELD, f"{twice!r} is there twice"[:500], twice[:200])
    return row


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def _kind_of(value: Any) -> str:
    names = {dict: "object", list: "array", str: "string", bool: "boolean", int: "number", float: "number"}
    return names.get(type(value), "null")
