"""A column of texts in a strptime format as ISO 8601, by Arrow: `spec.time_format.in_iso` for many values."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from lakeloop.spec.time_format import MONTHS, TimeFormat

_NUMBERS = pa.array([f"{number:02}" for number in range(1, 13)])


def in_iso(column: pa.Array, form: TimeFormat) -> pa.Array | None:
    """The strings of `column` as ISO 8601, nulls kept, numbers not judged; None when one is not of `form`."""
    found = pc.extract_regex(column, f"^(?:{form.pattern})$")
    if found.null_count != column.null_count:
        return None
    parts = {name: pc.struct_field(found, name) for name in form.parts}
    day = pc.binary_join_element_wise(_year(parts), _month(parts), _two_digits(parts["day"]), "-")
    if "hour" not in parts:
        return day
    hour = _hour(parts) if form.half_day else _two_digits(parts["hour"])
    if hour is None:
        return None
    zero = pa.scalar("00")
    times = [hour, *(_two_digits(parts[name]) if name in parts else zero for name in ("minute", "second"))]
    time = pc.binary_join_element_wise(*times, ":")
    if "fraction" in parts:
        time = pc.binary_join_element_wise(time, parts["fraction"], ".")
    zone = parts.get("zone", pa.scalar(""))
    return pc.binary_join_element_wise(day, "T", time, zone, "")


def _two_digits(column: pa.Array) -> pa.Array:
    return pc.utf8_lpad(column, 2, "0")


def _year(parts: dict[str, pa.Array]) -> pa.Array:
    if "year" in parts:
        return parts["year"]
    short = parts["short_year"]
    return pc.binary_join_element_wise(pc.if_else(pc.less(short, "69"), "20", "19"), short, "")


def _month(parts: dict[str, pa.Array]) -> pa.Array:
    if "month" in parts:
        return _two_digits(parts["month"])
    short = pc.utf8_slice_codeunits(pc.ascii_lower(parts["month_name"]), 0, 3)
    return _NUMBERS.take(pc.index_in(short, value_set=pa.array(MONTHS)))


def _hour(parts: dict[str, pa.Array]) -> pa.Array | None:
    """The hour of the day from that of the half day; None when one is not 1 to 12."""
    hour = parts["hour"].cast(pa.int64())
    if not pc.all(pc.and_(pc.greater_equal(hour, 1), pc.less_equal(hour, 12)), min_count=0).as_py():
        return None
    afternoon = pc.equal(pc.ascii_lower(parts["half"]), "p")
    of_day = pc.add(pc.if_else(pc.equal(hour, 12), 0, hour), pc.if_else(afternoon, 12, 0))
    return _two_digits(of_day.cast(pa.string()))
