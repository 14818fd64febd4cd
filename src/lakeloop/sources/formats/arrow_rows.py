"""Batches of Arrow to rows: columns by their names, of the loop file's types; bad rows are rejected alone.

A cast loses nothing, or the value is a wrong one: 1.0 is an integer and 1.5 is not; text is read as that of
CSV is. Of a moment, digits below a microsecond are cut off, and without a zone it is in that of its column.
A column may be a dense union, where each row has a type of its own; texts of the type `DECIMAL` are decimal
numbers, which a float keeps or not.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lakeloop.errors import DataError
from lakeloop.lake.tables import ARROW_TYPES, TIMESTAMP
from lakeloop.sources.base import Block, row_schema
from lakeloop.sources.formats.lines import MAX_LINE_BYTES
from lakeloop.sources.rejects import Reason, Reject
from lakeloop.sources.values import cast, finite, parse, since_1970_column
from lakeloop.spec.columns import Column, ColumnType, Moments
from lakeloop.spec.contract import SourceBase
from lakeloop.spec.quoting import plain

DECIMAL = pa.opaque(pa.string(), "decimal", "lakeloop")
"""Texts that are decimal numbers of any length."""
_DIGITS_OF_FLOAT = 15


class ArrowRows:
    """What becomes of the batches of one delivery; `where` is for errors."""

    def __init__(self, schema: pa.Schema, where: str, source: SourceBase) -> None:
        self._columns = source.fields
        self._key = source.key_column
        self._required = source.required
        self._schema = row_schema(source)
        self._keeps = source.undeclared == "keep"
        names = schema.names
        declared = [column.found for column in source.fields]
        self._extra = [name for name in names if name not in declared]
        refused = self._extra and source.undeclared == "refuse"
        needed = {column.found for column in source.fields if column.name in source.required}
        usable = needed <= set(names) and set(declared) & set(names)
        if refused or len(set(names)) < len(names) or not usable:
            others = f", {', '.join(sorted(needed))} among them" if needed else ""
            others += "" if source.undeclared == "refuse" else ", and perhaps others"
            wanted = f"{', '.join(declared)} in any order, each once{others}"
            raise DataError(
                "the columns are not those that the loop file declares",
                where=where,
                expected=wanted,
                found=plain(", ".join(names), 500),
                remedy="correct the delivery, or source.columns in the loop file",
            )

    def block(self, batch: pa.RecordBatch, first: int) -> Block:
        """The rows of `batch`, of which the first has number `first`. Raises pa.ArrowInvalid."""
        batch.validate()
        reasons: dict[int, _Misfit] = {}
        arrays = []
        for column in self._columns:
            place = batch.schema.get_field_index(column.found)
            given = pa.nulls(batch.num_rows) if place < 0 else batch.column(place)
            typed, bad = _typed(given, column)
            arrays.append(typed)
            for row in bad.tolist():
                reasons.setdefault(row, _misfit(given[row], column))
            for misfit, mask in self._refused(column, typed):
                for row in np.flatnonzero(mask.to_numpy(zero_copy_only=False)).tolist():
                    reasons.setdefault(row, misfit)
        if self._keeps:
            arrays.append(self._kept(batch))
        numbers = pa.array(range(first, first + batch.num_rows), pa.int64())
        rows = pa.RecordBatch.from_arrays([*arrays, numbers], schema=self._schema)
        good = np.ones(batch.num_rows, np.bool_)
        good[list(reasons)] = False
        others = batch.select(self._extra)
        if reasons:
            rows, others = rows.filter(pa.array(good)), others.filter(pa.array(good))
        undeclared = {
            name: others.num_rows - column.null_count
            for name, column in zip(self._extra, others.columns, strict=True)
        }
        rejects = tuple(self._reject(batch, row, first + row, reasons[row]) for row in sorted(reasons))
        return Block(rows, rejects, batch.num_rows, {name: n for name, n in undeclared.items() if n})

    def _refused(self, column: Column, values: pa.Array) -> Iterator[tuple[_Misfit, pa.Array]]:
        """What no row may have: a NUL, a text that is too long, nothing where something is required."""
        name, is_text = column.found, pa.types.is_string(values.type)
        if is_text:
            detail = f"{name}: has a NUL"
            yield (
                _Misfit(Reason.NUL_BYTE, detail, name),
                pc.fill_null(pc.match_substring(values, "\0"), False),
            )
            detail = f"{name}: longer than {MAX_LINE_BYTES} bytes; the raw row is cut there"
            long = pc.greater(pc.binary_length(values), MAX_LINE_BYTES)
            yield _Misfit(Reason.LINE_TOO_LONG, detail, name), pc.fill_null(long, False)
        if column.name in self._required:
            reason = Reason.NULL_KEY if column == self._key else Reason.NO_DAY
            nothing = pc.fill_null(pc.equal(values, ""), True) if is_text else values.is_null()
            yield _Misfit(reason, f"{name} is null or empty", name), nothing

    def _kept(self, batch: pa.RecordBatch) -> pa.Array:
        """The undeclared fields of each row that are not null, as JSON; null where there is none."""
        kept = []
        for row in range(batch.num_rows):
            fields = {name: _shown(batch.column(name)[row]) for name in self._extra}
            said = {name: value for name, value in fields.items() if value is not None}
            kept.append(_json(said) if said else None)
        return pa.array(kept, pa.string())

    def _reject(self, batch: pa.RecordBatch, row: int, number: int, misfit: _Misfit) -> Reject:
        fields = {name: _shown(batch.column(name)[row]) for name in batch.schema.names}
        raw = _json(fields)
        if len(raw) > MAX_LINE_BYTES:
            raw = raw.encode()[:MAX_LINE_BYTES].decode(errors="ignore")
        name = self._key.found if self._key else None
        key = fields[name] if name else None
        row_key = str(key) if isinstance(key, str | int) and misfit.column != name else None
        return Reject(number, 0, misfit.reason, plain(misfit.detail, 500), raw, misfit.column, row_key, "row")


class _Misfit(NamedTuple):
    """Why a row is none."""

    reason: Reason
    detail: str
    column: str


def _misfit(value: pa.Scalar, column: Column) -> _Misfit:
    found = plain(repr(_shown(value)), 100)
    if pa.types.is_union(value.type):
        value = value.value
    if _is_text(value.type) and column.type == "string":
        return _Misfit(Reason.BAD_UTF8, f"{column.found}: bytes that are not UTF-8, {found}", column.found)
    detail = f"{column.found}: expected {column.type}, found {_name(value.type)} {found}"
    return _Misfit(Reason.WRONG_TYPE, detail, column.found)


def _name(kind: pa.DataType) -> str:
    return "decimal" if kind == DECIMAL else str(kind)


def _typed(values: pa.Array, column: Column) -> tuple[pa.Array, npt.NDArray[np.int64]]:
    """`values` as the column's type, null where one does not fit; and the places of these."""
    if pa.types.is_union(values.type):
        return _typed_each(values, column)
    whole = _cast(values, column)
    if whole is not None:
        return whole, np.empty(0, np.int64)
    if len(values) == 1 or pa.types.is_nested(values.type):
        bad = np.flatnonzero(values.is_valid().to_numpy(zero_copy_only=False))
        return pa.nulls(len(values), ARROW_TYPES[column.type]), bad
    half = len(values) // 2
    left, bad_left = _typed(values.slice(0, half), column)
    right, bad_right = _typed(values.slice(half), column)
    return pa.concat_arrays([left, right]), np.concatenate([bad_left, bad_right + half])


def _typed_each(values: pa.UnionArray, column: Column) -> tuple[pa.Array, npt.NDArray[np.int64]]:
    """The same for a dense union: each type by itself, and the values back in their order."""
    codes = np.asarray(values.type_codes)
    arrays, places, bad = [], [], []
    for code in range(values.type.num_fields):
        mine = np.flatnonzero(codes == code)
        offsets = np.asarray(values.offsets)[mine]
        typed, wrong = _typed(values.field(code).take(pa.array(offsets)), column)
        arrays.append(typed)
        places.append(mine)
        bad.append(mine[wrong])
    order = np.argsort(np.concatenate(places), kind="stable")
    return pa.concat_arrays(arrays).take(pa.array(order)), np.concatenate(bad)


def _read(text: pa.Array, kind: ColumnType, moments: Moments) -> pa.Array | None:
    """Texts as those of a CSV file; of one text alone, `parse` has the last word."""
    found = cast(text, kind, moments)
    if found is None and len(text) == 1:
        try:
            return pa.array([parse(text[0].as_py(), kind, moments)], ARROW_TYPES[kind])
        except ValueError:
            return None
    return found


def _cast(values: pa.Array, column: Column) -> pa.Array | None:
    """`values` as the column's type when every one is of it and none loses anything; else None.

    Also None when that is not sure: one value alone is.
    """
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_null(values.type):
        return pa.nulls(len(values), ARROW_TYPES[column.type])
    if values.type == DECIMAL:
        values = values.storage
        if column.type == "number" and not _are_floats(values):
            return None
    try:
        if _is_text(values.type):
            text = values.cast(pa.binary()).cast(pa.string())
            text.validate(full=True)
            return _read(text, column.type, column.moments)
        return _CASTS[column.type](values, column.moments)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None


def _are_floats(decimals: pa.Array) -> bool:
    """Whether a float keeps all digits of each of these texts."""
    digits = pc.utf8_length(pc.replace_substring_regex(decimals, "[^0-9]", ""))
    long = decimals.filter(pc.fill_null(pc.greater(digits, _DIGITS_OF_FLOAT), False))
    return all(_is_float(text) for text in long.to_pylist())


def _is_float(text: str) -> bool:
    number = float(text)
    return math.isfinite(number) and Decimal(repr(number)) == Decimal(text)


_TEXTS = (
    pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_binary,
    pa.types.is_large_binary, pa.types.is_binary_view, pa.types.is_fixed_size_binary,
)  # fmt: skip
_NUMBERS = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)


def _is_text(kind: pa.DataType) -> bool:
    return any(test(kind) for test in _TEXTS)


def _is_number(kind: pa.DataType) -> bool:
    return any(test(kind) for test in _NUMBERS)


def _text(values: pa.Array, _moments: Moments) -> pa.Array | None:
    return values.cast(pa.string()) if pa.types.is_integer(values.type) else None


def _integer(values: pa.Array, _moments: Moments) -> pa.Array | None:
    return values.cast(pa.int64()) if _is_number(values.type) else None


def _number(values: pa.Array, _moments: Moments) -> pa.Array | None:
    return finite(values.cast(pa.float64())) if _is_number(values.type) else None


def _boolean(values: pa.Array, _moments: Moments) -> pa.Array | None:
    return values if pa.types.is_boolean(values.type) else None


def _timestamp(values: pa.Array, moments: Moments) -> pa.Array | None:
    if moments.unit and pa.types.is_integer(values.type):
        return since_1970_column(values, moments.unit)
    if pa.types.is_date(values.type):
        values = values.cast(pa.timestamp("us"))
    if not pa.types.is_timestamp(values.type):
        return None
    local = pa.timestamp("us", values.type.tz)
    found = values.cast(options=pc.CastOptions(local, allow_time_truncate=True))
    if local.tz is None and moments.zone != "UTC":
        # What summer time leaves out or says twice is as in a text.
        return _read(found.cast(pa.string()), "timestamp", Moments(zone=moments.zone))
    return _in_range(found.cast(TIMESTAMP))


def _date(values: pa.Array, _moments: Moments) -> pa.Array | None:
    if pa.types.is_date(values.type):
        days = values.cast(pa.date32())
    elif pa.types.is_timestamp(values.type):
        local = pc.local_timestamp(values) if values.type.tz else values
        days = local.cast(pa.date32())
        if not pc.all(pc.equal(days.cast(local.type), local), min_count=0).as_py():
            return None
    else:
        return None
    return days if _in_range(days.cast(pa.timestamp("us"))) is not None else None


def _in_range(moments: pa.Array) -> pa.Array | None:
    """`moments` when all are in the years 1 to 9999."""
    years = pc.year(moments)
    inside = pc.and_(pc.greater_equal(years, 1), pc.less_equal(years, 9999))
    return moments if pc.all(inside, min_count=0).as_py() else None


_CASTS: dict[ColumnType, Callable[[pa.Array, Moments], pa.Array | None]] = {
    "string": _text,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "timestamp": _timestamp,
    "date": _date,
}


def _json(fields: dict[str, Any]) -> str:
    return json.dumps(fields, ensure_ascii=False, default=str)


def _shown(scalar: pa.Scalar) -> Any:
    """A value for JSON, whatever it is: some cannot be had as objects of Python."""
    try:
        value = scalar.as_py()
    except (ValueError, OverflowError, pa.ArrowException, ImportError):
        return str(scalar.cast(pa.int64())) if pa.types.is_temporal(scalar.type) else str(scalar)
    if isinstance(value, bytes):
        return value[:MAX_LINE_BYTES].decode(errors="backslashreplace")
    return value[:MAX_LINE_BYTES] if isinstance(value, str) else value
