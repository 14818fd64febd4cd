"""JSON Lines: one object a line. A block at once by Arrow, or one line by Python's parser.

`parse_block` returns None for a block that it is not sure of; `parse_line` then decides line by line. What
`parse_line` refuses is never accepted by `parse_block`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, NoReturn

import pyarrow as pa
import pyarrow.json as pj

from lakeloop.lake.tables import ARROW_TYPES
from lakeloop.sources.base import Block
from lakeloop.sources.formats.lines import LineReader
from lakeloop.sources.rejects import LineError, Reason
from lakeloop.sources.values import Value, cast, finite, parse, require_finite, require_int64
from lakeloop.spec.contract import ColumnType, SourceBase

_AS_TEXT = ("timestamp", "date")  # JSON has no such type: strings, parsed by `values`


def read_json_lines(file: BinaryIO, where: str, source: SourceBase) -> Iterator[Block]:  # noqa: ARG001
    """The records of a file of JSON Lines; `where` is not needed, no error is about the file as a whole."""
    return LineReader(file, source).blocks(JsonLines(source.columns, source.key))


class JsonLines:
    """Parser for lines with the declared `columns`; a column that is not in an object is null."""

    def __init__(self, columns: Mapping[str, ColumnType], key: str) -> None:
        self._columns = dict(columns)
        self._key = key
        fields = [
            (name, pa.string() if kind in _AS_TEXT else ARROW_TYPES[kind]) for name, kind in columns.items()
        ]
        self._options = pj.ParseOptions(explicit_schema=pa.schema(fields), unexpected_field_behavior="error")

    def parse_block(self, block: bytes, lines: int) -> list[pa.Array] | None:
        """The declared columns of a block of whole lines; None when a line may not be a row."""
        block = block.replace(b"\r\n", b"\n")
        # Each line is braces around something, and no string can hold a raw line end: so no object spans
        # lines, and as many objects as lines means one object in each.
        if not (block.startswith(b"{") and block.endswith(b"}\n") and block.count(b"}\n{") == lines - 1):
            return None
        if b"\0" in block or b"\\u0000" in block:
            return None
        options = pj.ReadOptions(use_threads=False, block_size=len(block) + 1)
        try:
            table = pj.read_json(pa.BufferReader(block), read_options=options, parse_options=self._options)
            table.validate(full=True)  # Arrow's JSON reader lets bytes through that are not UTF-8
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return None
        if table.num_rows != lines:
            return None
        columns = []
        for name, kind in self._columns.items():
            column = self._typed(table[name].combine_chunks(), kind)
            if column is None:
                return None
            columns.append(column)
        return columns

    def parse_line(self, text: str) -> dict[str, Value | None]:
        """One row. Raises LineError."""
        try:
            row = json.loads(text, object_pairs_hook=_distinct, parse_constant=_no_constant)
        except RecursionError as error:
            raise LineError(Reason.BROKEN_JSON, "nested too deeply") from error
        except ValueError as error:
            raise LineError(Reason.BROKEN_JSON, str(error)) from error
        if not isinstance(row, dict):
            raise LineError(Reason.NOT_AN_OBJECT, f"expected an object, found {_kind_of(row)}")
        found = row.get(self._key)
        row_key = str(found) if isinstance(found, str | int | float) else None
        if extra := [name for name in row if name not in self._columns]:
            raise LineError(Reason.EXTRA_FIELD, f"not declared: {', '.join(extra)}"[:500], extra[0], row_key)
        if self._key not in row:
            raise LineError(Reason.MISSING_KEY, f"no field {self._key!r}", self._key)
        return {name: self._value(row.get(name), name, kind, row_key) for name, kind in self._columns.items()}

    def _typed(self, column: pa.Array, kind: ColumnType) -> pa.Array | None:
        if kind in _AS_TEXT:
            return cast(column, kind)
        return finite(column) if kind == "number" else column

    def _value(self, value: Any, name: str, kind: ColumnType, row_key: str | None) -> Value | None:
        if value is None:
            return None
        try:
            return _strict(value, kind)
        except UnicodeEncodeError as error:
            raise LineError(Reason.BAD_UTF8, f"{name}: half of a surrogate pair", name, None) from error
        except (ValueError, OverflowError) as error:
            detail = f"{name}: expected {kind}, found {_kind_of(value)}" + (
                f" ({error})" if str(error) else ""
            )
            raise LineError(
                Reason.WRONG_TYPE, detail, name, None if name == self._key else row_key
            ) from error


def _strict(value: Any, kind: ColumnType) -> Value:
    """`value` when JSON itself gave it this type; nothing is converted. Raises ValueError."""
    if isinstance(value, str):
        value.encode()
        if kind == "string" or kind in _AS_TEXT:
            return parse(value, kind)
    elif isinstance(value, bool):
        if kind == "boolean":
            return value
    elif kind == "integer" and isinstance(value, int):
        return require_int64(value)
    elif kind == "number" and isinstance(value, int | float):
        return require_finite(float(value))
    raise ValueError


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
