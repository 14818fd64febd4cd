"""Text to typed values, twice: one value at a time in Python, and a whole column at a time in Arrow.

What Arrow accepts Python accepts, with the same value; where Arrow alone would be more lenient (blanks around
numbers, year 0), a pattern decides. A property test holds them together. What is rare (a day of a week, an
hour that summer time leaves out) is for Python alone: the column is then read value by value.

Moments are RFC 3339, and ISO 8601 with an optional time and zone: also without separators
(20260101T083000Z), as a day of the year (2026-001) or of a week (2026-W01-4); T, t or a blank before the
time; Z, z, UTC, GMT, +01:00, +0100 or +01 after it, or after a blank; digits below a microsecond are cut off.
Other forms are read by the column's own format. A moment without a zone is in the zone of the column.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from lakeloop.lake.tables import TIMESTAMP
from lakeloop.sources import moments
from lakeloop.sources.usual import usual_moments, usual_numbers
from lakeloop.spec.columns import ColumnType, Moments
from lakeloop.spec.time_format import in_iso

Value = str | int | float | bool | date | datetime

_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_ZONE = r"(Z|[+-][0-9]{2}:[0-9]{2})"
_CANONICAL = rf"{_DATE}(T[0-9]{{2}}:[0-9]{{2}}(:[0-9]{{2}}(\.[0-9]{{1,6}})?)?{_ZONE}?)?"
"""The form of a timestamp that Arrow and Python both read, and most timestamps have."""
_TO_CANONICAL = (
    (r"^([0-9]{4})([0-9]{2})([0-9]{2})", r"\1-\2-\3"),
    (r" ?(UTC|GMT|Z|z)$", "Z"),
    (r" ([+-][0-9:]+)$", r"\1"),
    (r"[t ]", "T"),
    (r"T([0-9]{2})([0-9]{2})([0-9]{2})", r"T\1:\2:\3"),
    (r"T([0-9]{2})([0-9]{2})", r"T\1:\2"),
    (r"[.,]([0-9]{1,6})[0-9]*", r".\1"),
    (r"(T.*[+-][0-9]{2})([0-9]{2})$", r"\1:\2"),
    (r"(T.*[+-][0-9]{2})$", r"\1:00"),
)
"""What makes it of the other forms, one after the other: a pattern and what takes its place."""
_PATTERNS: dict[ColumnType, str] = {
    "integer": r"-?[0-9]+(\.0+)?",
    "number": r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?",
    "boolean": r"true|false|True|False|TRUE|FALSE",
    "timestamp": rf"({_DATE}|[0-9]{{8}})([Tt ]([0-9]{{2}}:[0-9]{{2}}(:[0-9]{{2}}([.,][0-9]{{1,99}})?)?"
    r"|[0-9]{4}([0-9]{2}([.,][0-9]{1,99})?)?)( ?(UTC|GMT|[Zz]|[+-][0-9]{2}(:?[0-9]{2})?))?)?",
    "date": rf"{_DATE}|[0-9]{{8}}",
}
_WHOLE = re.compile(_PATTERNS["integer"])
EXACT = 2**53
"""From here on a float does not hold every whole number: ids would become those of others."""
_COMPILED = {kind: re.compile(pattern) for kind, pattern in _PATTERNS.items()}
_RARE_DAY = re.compile(r"[0-9]{4}-?W[0-9]{2}-?[1-7]|[0-9]{4}-[0-9]{3}")
"""The day of a week, or of a year."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST = round((datetime.min.replace(tzinfo=UTC) - _EPOCH).total_seconds()) * 1_000_000
_LAST = round((datetime(9999, 12, 31, tzinfo=UTC) - _EPOCH).total_seconds()) * 1_000_000 + 86_399_999_999
_ISO = Moments()


def parse(text: str, kind: ColumnType, written: Moments = _ISO) -> Value:
    """One value; `written` says how moments are. Raises ValueError when `text` is not of `kind`."""
    if kind == "string":
        return text
    if kind in ("timestamp", "date"):
        return _moment(text, kind, written)
    if not _COMPILED[kind].fullmatch(text):
        raise ValueError(f"not a {kind}")
    if kind == "boolean":
        return text.lower() == "true"
    if kind == "integer":
        return require_int64(int(text.partition(".")[0]))
    found = require_finite(float(text))
    return require_exact(int(text.partition(".")[0]), found) if _WHOLE.fullmatch(text) else found


def _moment(text: str, kind: ColumnType, written: Moments) -> Value:
    if written.unit:
        return since_1970(text, written.unit)
    if written.format:
        text = in_iso(written.format, text)
        if kind == "date":
            text = text[: len("2026-11-20")]
    text = _usual_day(text)
    if not _COMPILED[kind].fullmatch(text):
        raise ValueError(f"not a {kind}")
    for pattern, canonical in _TO_CANONICAL:
        text = re.sub(pattern, canonical, text)
    if kind == "date":
        return date.fromisoformat(text)
    return _in_utc(datetime.fromisoformat(text), written.zone)


def _usual_day(text: str) -> str:
    """`text` with the day of a week or of a year as day of a month; as it is when it has none."""
    day, separator, time = text.partition("T")
    if not _RARE_DAY.fullmatch(day):
        return text
    digits = day.replace("-", "").replace("W", "")
    if "W" in day:
        usual = date.fromisocalendar(int(digits[:4]), int(digits[4:6]), int(digits[6]))
    else:
        usual = date(int(digits[:4]), 1, 1) + timedelta(days=int(digits[4:]) - 1)
        if f"{usual.year:04}" != digits[:4]:
            raise ValueError("no such day of the year")
    return f"{usual.isoformat()}{separator}{time}"


def since_1970(number: str | int, unit: int) -> datetime:
    """The moment `number` units of `unit` microseconds after 1970 began; digits below one are cut off.

    Raises:
        ValueError: `number` is no number, or outside of the years 1 to 9999.
    """
    if isinstance(number, str) and not re.fullmatch(r"-?[0-9]{1,30}(\.[0-9]{1,30})?", number):
        raise ValueError("not a number since 1970")
    microseconds = math.floor(Decimal(number) * unit)
    if not _FIRST <= microseconds <= _LAST:
        raise ValueError("outside of the years 1 to 9999")
    return _EPOCH + timedelta(microseconds=microseconds)


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


def require_exact(written: int, value: float) -> float:
    """`value`, the float of the whole number `written`. Raises ValueError when it is another number."""
    if abs(value) >= EXACT and int(value) != written:
        raise ValueError("a whole number of so many digits is rounded as a number: declare integer or string")
    return value


def _in_utc(moment: datetime, zone: str) -> datetime:
    try:
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC if zone == "UTC" else ZoneInfo(zone))
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("outside of the years 1 to 9999") from error


def cast(column: pa.Array, kind: ColumnType, written: Moments = _ISO) -> pa.Array | None:
    """A string column as `kind`, nulls kept; None when a value may not be of that kind."""
    if kind == "string":
        return column
    if written.unit:
        return since_1970_column(column, written.unit)
    if written.format:
        iso = moments.in_iso(column, written.format)
        if iso is None:
            return None
        column = pc.utf8_slice_codeunits(iso, 0, len("2026-11-20")) if kind == "date" else iso
    return _typed(column, kind, written.zone)


def _typed(column: pa.Array, kind: ColumnType, zone: str) -> pa.Array | None:
    usual = _is_usual(column, kind)
    if not usual and not _all(pc.match_substring_regex(column, f"^({_PATTERNS[kind]})$")):
        return None
    try:
        if kind == "timestamp":
            return _if_inside(column.cast(TIMESTAMP)) if usual else _timestamps(column, zone)
        return _CASTS[kind](column)
    except pa.ArrowInvalid:
        return None


def _is_usual(column: pa.Array, kind: ColumnType) -> bool:
    """Whether all values are in a form that needs no pattern: of the kind when the cast accepts them."""
    if kind == "timestamp":
        return usual_moments(column)
    return kind == "number" and usual_numbers(column)


def since_1970_column(column: pa.Array, unit: int) -> pa.Array | None:
    """Whole numbers (integers, or strings) of `unit` microseconds since 1970; None when one may be none."""
    if pa.types.is_string(column.type) and not _all(pc.match_substring_regex(column, "^(-?[0-9]{1,18})$")):
        return None
    try:
        microseconds = pc.multiply_checked(column.cast(pa.int64()), unit)
    except pa.ArrowInvalid:
        return None
    return _if_inside(microseconds.cast(TIMESTAMP))


def finite(column: pa.Array) -> pa.Array | None:
    """A float64 column with -0.0 made 0.0; None when a value is infinite or not a number."""
    return pc.add(column, 0.0) if _all(pc.is_finite(column)) else None


def surely_exact(column: pa.Array) -> pa.Array | None:
    """A float64 column that was read from digits; None when it may hold a whole number that was rounded."""
    limits = pc.min_max(column).as_py()
    large = limits["min"] is not None and max(-limits["min"], limits["max"]) >= EXACT
    return None if large else column


def _integers(column: pa.Array) -> pa.Array:
    if _any(pc.match_substring(column, ".")):
        column = pc.replace_substring_regex(column, r"\.0+$", "")
    return column.cast(pa.int64())


def _numbers(column: pa.Array) -> pa.Array | None:
    found = finite(column.cast(pa.float64()))
    return None if found is None else surely_exact(found)


def _booleans(column: pa.Array) -> pa.Array:
    return pc.equal(pc.ascii_lower(column), "true")


def _dates(column: pa.Array) -> pa.Array | None:
    if _any(pc.starts_with(column, "0000")):
        return None
    pattern, canonical = _TO_CANONICAL[0]
    return pc.replace_substring_regex(column, pattern, canonical).cast(pa.date32())


def _timestamps(column: pa.Array, zone: str) -> pa.Array | None:
    if _any(pc.starts_with(column, "0000")):
        return None
    if not _all(pc.match_substring_regex(column, f"^({_CANONICAL})$")):
        for pattern, canonical in _TO_CANONICAL:
            column = pc.replace_substring_regex(column, pattern, canonical)
    day_only = pc.equal(pc.binary_length(column), len("2026-11-20"))
    if zone == "UTC":
        zoned = pc.match_substring_regex(column, f"{_ZONE}$")
        suffix = pc.if_else(day_only, "T00:00Z", pc.if_else(zoned, "", "Z"))
        return _if_inside(pc.binary_join_element_wise(column, suffix, "").cast(TIMESTAMP))
    if _any(pc.match_substring_regex(column, f"T.*{_ZONE}$")):
        return None  # some say a zone, and perhaps others do not
    if not _all(pc.match_substring_regex(column, "^(19[7-9]|200|201|202|203[0-6])")):
        return None  # beyond the tables of time zones Arrow knows no summer time
    local = pc.binary_join_element_wise(column, pc.if_else(day_only, "T00:00", ""), "")
    # What summer time leaves out is for Python; what it says twice is the first, as there.
    typed = pc.assume_timezone(
        local.cast(pa.timestamp("us")), zone, ambiguous="earliest", nonexistent="raise"
    )
    return _if_inside(typed.cast(TIMESTAMP))


def _if_inside(column: pa.Array) -> pa.Array | None:
    limits = pc.min_max(column.cast(pa.int64())).as_py()
    outside = limits["min"] is not None and (limits["min"] < _FIRST or limits["max"] > _LAST)
    return None if outside else column


_CASTS: dict[ColumnType, Callable[[pa.Array], pa.Array | None]] = {
    "integer": _integers,
    "number": _numbers,
    "boolean": _booleans,
    "date": _dates,
}


def _all(mask: pa.Array) -> bool:
    """True when no value that is not null is False."""
    return bool(pc.all(mask, min_count=0).as_py())


def _any(mask: pa.Array) -> bool:
    return bool(pc.any(mask, min_count=0).as_py())
