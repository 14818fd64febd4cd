"""Text to typed values, twice: one value at a time in Python, and a whole column at a time in Arrow.

The two accept exactly the same texts and give the same values; where Arrow alone would be more lenient
(blanks around numbers, year 0) or stricter, a pattern decides. A property test holds them together.
Timestamps are RFC 3339, and ISO 8601 dates with an optional time and zone: T, t or a blank before the time,
Z, z, +01:00, +0100 or +01 after it; digits below a microsecond are cut off. Without a zone they are UTC.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.compute as pc

from lakeloop.lake.tables import TIMESTAMP
from lakeloop.spec.contract import ColumnType

Value = str | int | float | bool | date | datetime

_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_ZONE = r"(Z|[+-][0-9]{2}:[0-9]{2})"
_CANONICAL = rf"{_DATE}(T[0-9]{{2}}:[0-9]{{2}}(:[0-9]{{2}}(\.[0-9]{{1,6}})?)?{_ZONE}?)?"
"""The form of a timestamp that Arrow and Python both read, and most timestamps have."""
_TO_CANONICAL = (
    (r"[t ]", "T"),
    (r"z$", "Z"),
    (r"[.,]([0-9]{1,6})[0-9]*", r".\1"),
    (r"(T.*[+-][0-9]{2})([0-9]{2})$", r"\1:\2"),
    (r"(T.*[+-][0-9]{2})$", r"\1:00"),
)
"""What makes it of the other forms, one after the other: a pattern and what takes its place."""
_PATTERNS: dict[ColumnType, str] = {
    "integer": r"-?[0-9]+",
    "number": r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?",
    "boolean": r"true|false|True|False|TRUE|FALSE",
    "timestamp": rf"{_DATE}([Tt ][0-9]{{2}}:[0-9]{{2}}(:[0-9]{{2}}([.,][0-9]{{1,99}})?)?"
    r"([Zz]|[+-][0-9]{2}(:?[0-9]{2})?)?)?",
    "date": _DATE,
}
_COMPILED = {kind: re.compile(pattern) for kind, pattern in _PATTERNS.items()}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST = round((datetime.min.replace(tzinfo=UTC) - _EPOCH).total_seconds()) * 1_000_000
_LAST = round((datetime(9999, 12, 31, tzinfo=UTC) - _EPOCH).total_seconds()) * 1_000_000 + 86_399_999_999


def parse(text: str, kind: ColumnType) -> Value:
    """One value. Raises ValueError when `text` is not of `kind`."""
    if kind == "string":
        return text
    if not _COMPILED[kind].fullmatch(text):
        raise ValueError(f"not a {kind}")
    if kind == "boolean":
        return text.lower() == "true"
    if kind == "integer":
        return require_int64(int(text))
    if kind == "number":
        return require_finite(float(text))
    if kind == "date":
        return date.fromisoformat(text)
    for pattern, canonical in _TO_CANONICAL:
        text = re.sub(pattern, canonical, text)
    return _in_utc(datetime.fromisoformat(text))


def require_int64(value: int) -> int:
    """Raises ValueError when `value` does not fit 64 bits."""
    if not -(2**63) <= value < 2**63:
        raise ValueError("does not fit 64 bits")
    return value


def require_finite(value: float) -> float:
    """`value` with -0.0 made 0.0, so that equal numbers have equal bits. Raises ValueError for inf, nan."""
    if not math.isfinite(value):
        raise ValueError("not a finite number")
    return value + 0.0


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("outside of the years 1 to 9999") from error


def cast(column: pa.Array, kind: ColumnType) -> pa.Array | None:
    """A string column as `kind`, nulls kept; None when a value is not of that kind."""
    if kind == "string":
        return column
    if not _all(pc.match_substring_regex(column, f"^({_PATTERNS[kind]})$")):
        return None
    try:
        return _CASTS[kind](column)
    except pa.ArrowInvalid:
        return None


def finite(column: pa.Array) -> pa.Array | None:
    """A float64 column with -0.0 made 0.0; None when a value is infinite or not a number."""
    return pc.add(column, 0.0) if _all(pc.is_finite(column)) else None


def _integers(column: pa.Array) -> pa.Array:
    return column.cast(pa.int64())


def _numbers(column: pa.Array) -> pa.Array | None:
    return finite(column.cast(pa.float64()))


def _booleans(column: pa.Array) -> pa.Array:
    return pc.equal(pc.ascii_lower(column), "true")


def _dates(column: pa.Array) -> pa.Array | None:
    return None if _any(pc.starts_with(column, "0000")) else column.cast(pa.date32())


def _timestamps(column: pa.Array) -> pa.Array | None:
    if _any(pc.starts_with(column, "0000")):
        return None
    if not _all(pc.match_substring_regex(column, f"^({_CANONICAL})$")):
        for pattern, canonical in _TO_CANONICAL:
            column = pc.replace_substring_regex(column, pattern, canonical)
    day_only = pc.equal(pc.binary_length(column), len("2026-11-20"))
    zoned = pc.match_substring_regex(column, f"{_ZONE}$")
    suffix = pc.if_else(day_only, "T00:00Z", pc.if_else(zoned, "", "Z"))
    typed = pc.binary_join_element_wise(column, suffix, "").cast(TIMESTAMP)
    microseconds = typed.cast(pa.int64())
    inside = pc.and_(pc.greater_equal(microseconds, _FIRST), pc.less_equal(microseconds, _LAST))
    return typed if _all(inside) else None


_CASTS: dict[ColumnType, Callable[[pa.Array], pa.Array | None]] = {
    "integer": _integers,
    "number": _numbers,
    "boolean": _booleans,
    "date": _dates,
    "timestamp": _timestamps,
}


def _all(mask: pa.Array) -> bool:
    """True when no value that is not null is False."""
    return bool(pc.all(mask, min_count=0).as_py())


def _any(mask: pa.Array) -> bool:
    return bool(pc.any(mask, min_count=0).as_py())
