"""Values that were typed as an earlier loop file said, as the type that it says now: without loss, or not.

Text becomes what ingest would have made of it, but for digits that begin with zeros: a number would lose
these for ever ("00585" of a drop can be read again, that of a lake cannot). Other values become what they are
in another type, when that has an exact word for them: 3 is 3.0 and "3", 3.0 is 3, and 3.5 is no integer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.compute as pc

from lakeloop.lake.tables import ARROW_TYPES
from lakeloop.sources.values import Value, cast, parse, require_int64, since_1970
from lakeloop.spec.columns import Column, ColumnType, Moments
from lakeloop.spec.tasks.base import in_words

_NUMBERS: tuple[ColumnType, ...] = ("integer", "number")
_ZEROS = r"^\s*[+-]?0[0-9]"
"""Of a text whose digits begin with zeros: a code of some kind, and no quantity."""


@dataclass(frozen=True)
class Misfit:
    """A value of raw that does not fit the type that its column has now."""

    partition: str
    file: str
    line: int
    value: str


@dataclass(frozen=True)
class Retyped:
    """A column whose type is another one in the table than in the loop file."""

    column: Column
    """As the loop file has it."""
    before: str
    """The type in the table."""
    values: int
    """That are not null."""
    misfits: int
    first: tuple[Misfit, ...]
    """Of the misfits."""


def try_all(batches: pa.RecordBatchReader, column: Column, shown: int) -> Retyped:
    """Try every value of `column` in rows of raw; `shown` of those that do not fit are named."""
    before = batches.schema.field(column.stored).type
    values = misfits = 0
    first: list[Misfit] = []
    for batch in batches:
        tried = batch[column.stored]
        _, bad = recast(tried, column.type, column.moments)
        values += len(tried) - tried.null_count
        misfits += bad.true_count
        rows = batch.filter(bad).slice(0, shown - len(first)).to_pylist() if bad.true_count else []
        first += [
            Misfit(row["partition"], row["source_file"], row["source_line"], str(row[column.stored]))
            for row in rows
        ]
    kind = next((name for name, arrow in ARROW_TYPES.items() if arrow == before), str(before))
    return Retyped(column, kind, values, misfits, tuple(first))


def with_types(schema: pa.Schema, columns: Mapping[str, Column]) -> pa.Schema:
    """`schema` with the types of `columns` (by stored name); what the table keeps about each stays."""
    return pa.schema(
        [
            field.with_type(ARROW_TYPES[columns[field.name].type]) if field.name in columns else field
            for field in schema
        ]
    )


def carried(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema, columns: Mapping[str, Column]
) -> Iterator[pa.RecordBatch]:
    """Rows of raw with the types of `schema`; all values of `columns` must fit (see `try_all`).

    `row_hash` stays as it is: it may be what names the row.
    """
    for batch in batches:
        arrays = []
        for name in schema.names:
            values = batch[name]
            if name in columns:
                values, bad = recast(values, columns[name].type, columns[name].moments)
                assert not bad.true_count, "every value of this version was tried before"
            arrays.append(values)
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def recast(column: pa.Array, kind: ColumnType, written: Moments) -> tuple[pa.Array, pa.Array]:
    """A column of raw as `kind`; `written` says how moments are in text.

    Returns:
        The values, null where one does not fit; and booleans, true where one does not.
    """
    quick = _at_once(column, kind, written)
    if quick is not None:
        return quick, pa.repeat(pa.scalar(value=False), len(quick))
    values: list[Value | None] = []
    misfits = []
    for value in column.to_pylist():
        try:
            values.append(None if value is None else one(value, kind, written))
            misfits.append(False)
        except (ValueError, OverflowError):
            values.append(None)
            misfits.append(True)
    return pa.array(values, ARROW_TYPES[kind]), pa.array(misfits, pa.bool_())


def _at_once(column: pa.Array, kind: ColumnType, written: Moments) -> pa.Array | None:
    """The whole column, where Arrow has the same values for it; None where one may not fit."""
    before, after = column.type, ARROW_TYPES[kind]
    if pa.types.is_string(before) and kind in _NUMBERS and _any_begins_with_zeros(column):
        return None
    try:
        if pa.types.is_string(before):
            return cast(column, kind, written)
        numbers = {pa.int64(), pa.float64()}
        if {before, after} <= numbers or (before in (pa.int64(), pa.bool_()) and kind == "string"):
            return column.cast(after)
    except pa.ArrowInvalid:
        pass
    return None


def _any_begins_with_zeros(column: pa.Array) -> bool:
    return bool(pc.any(pc.match_substring_regex(column, _ZEROS)).as_py())


def one(value: Value, kind: ColumnType, written: Moments) -> Value:
    """One value as `kind`.

    Raises:
        ValueError: that would lose something, or cannot be.
        OverflowError: likewise.
    """
    if kind == "string":
        return _in_words(value)
    if isinstance(value, str):
        if kind in _NUMBERS and re.match(_ZEROS, value):
            raise ValueError("its zeros would be lost")
        return parse(value, kind, written)
    found = None if isinstance(value, bool) else _exactly(value, kind, written)
    if found is None:
        raise ValueError(f"not a {kind}")
    return found


def _exactly(value: Value, kind: ColumnType, written: Moments) -> Value | None:
    """A value that is no text as `kind`; None when that has no word for it."""
    match value, kind:
        case int(), "number" if int(float(value)) == value:
            return float(value)
        case int(), "timestamp" if written.unit:
            return since_1970(value, written.unit)
        case float(), "integer" if value.is_integer():
            return require_int64(int(value))
        case datetime(), "date" if value == _midnight(value):
            return value.date()
        case date(), "timestamp":
            return parse(value.isoformat(), kind, Moments(zone=written.zone))
    return None


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _in_words(value: Value) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else in_words(value)
