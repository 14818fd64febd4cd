"""How a delivery writes moments, when that is not ISO 8601: a strptime format, or seconds since 1970.

A format becomes one regular expression that Python and Arrow read alike, and what it finds is written as ISO
8601, so that there is one reader of moments (`lakeloop.sources.values`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

EPOCHS: Mapping[str, int] = {"epoch_s": 1_000_000, "epoch_ms": 1_000, "epoch_us": 1}
"""Microseconds of one unit of a number that counts from 1970-01-01T00:00:00Z."""

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_LONG_MONTHS = "january|february|march|april|may|june|july|august|september|october|november|december"
_DIRECTIVES = {
    "Y": r"(?P<year>[0-9]{4})",
    "y": r"(?P<short_year>[0-9]{2})",
    "m": r"(?P<month>[0-9]{1,2})",
    "b": rf"(?P<month_name>(?i:{'|'.join(MONTHS)}))\.?",
    "B": rf"(?P<month_name>(?i:{_LONG_MONTHS}))",
    "d": r"(?P<day>[0-9]{1,2})",
    "H": r"(?P<hour>[0-9]{1,2})",
    "I": r"(?P<hour>[0-9]{1,2})",
    "p": r"(?P<half>[AaPp])\.?[Mm]\.?",
    "M": r"(?P<minute>[0-9]{1,2})",
    "S": r"(?P<second>[0-9]{1,2})",
    "f": r"(?P<fraction>[0-9]{1,9})",
    "z": r"(?P<zone>[Zz]|[+-][0-9]{2}(?::?[0-9]{2})?)",
    "a": r"(?i:mon|tue|wed|thu|fri|sat|sun)\.?",
    "A": r"(?i:monday|tuesday|wednesday|thursday|friday|saturday|sunday)",
    "%": "%",
}
"""Directive of strptime -> what it matches, in the syntax that Python and RE2 share. Names are English."""
_DAY = (("Y", "y"), ("m", "b", "B"), ("d",))
_TIME = frozenset("HIMSfp")
NAMES = (
    "year", "short_year", "month", "month_name", "day", "hour", "half", "minute", "second", "fraction",
    "zone",
)  # fmt: skip
"""The parts of a moment that a format can name."""


@dataclass(frozen=True)
class TimeFormat:
    """A strptime format, understood."""

    text: str
    pattern: str
    """Regular expression (Python and RE2) with a group for each of `parts`, to be matched from end to end."""
    parts: tuple[str, ...]
    """Of `NAMES`, those that the format has."""
    half_day: bool
    """Hours are 1 to 12, with a.m. and p.m."""


def parse_format(text: str) -> TimeFormat:
    """Read a strptime format.

    Raises:
        ValueError: a directive is not known or twice there, or the format names no day; says what is wanted.
    """
    pieces = re.findall(r"%.?|[^%\s]+|\s+", text)
    used = [piece[1:] for piece in pieces if piece.startswith("%") and piece != "%%"]
    known = ", ".join(f"%{name}" for name in _DIRECTIVES if name != "%")
    if wrong := [name for name in used if name not in _DIRECTIVES]:
        raise ValueError(f"a format of {known} and other signs; %{wrong[0]} is not known")
    for choice in (*_DAY, ("H", "I")):
        if len([name for name in used if name in choice]) > 1:
            raise ValueError(f"a format with one of {' '.join(f'%{name}' for name in choice)}")
    if len(set(used)) != len(used):
        raise ValueError("a format that names each part once")
    if lacking := [choice[0] for choice in _DAY if not set(choice) & set(used)]:
        raise ValueError(f"a format that says the whole day; %{lacking[0]} is missing")
    if ("I" in used) != ("p" in used):
        raise ValueError("a format with %I and %p together, or with %H")
    if set(used) & (_TIME | {"z"}) and not {"H", "I"} & set(used):
        raise ValueError("a format with %H before the parts of the time")
    pattern = "".join(_matching(piece) for piece in pieces)
    parts = tuple(name for name in NAMES if f"(?P<{name}>" in pattern)
    return TimeFormat(text, pattern, parts, half_day="I" in used)


def _matching(piece: str) -> str:
    if piece.startswith("%"):
        return _DIRECTIVES[piece[1:]]
    return "[ \t]+" if piece.isspace() else re.escape(piece)


def in_iso(form: TimeFormat, text: str) -> str:
    """`text` as ISO 8601, its numbers not judged yet. Raises ValueError when it is not of the format."""
    match = re.fullmatch(form.pattern, text)
    if match is None:
        raise ValueError(f"not written as {form.text}")
    found = match.groupdict()
    day = f"{_year(found)}-{_month(found)}-{found['day']:0>2}"
    if "hour" not in found:
        return day
    fraction = f".{found['fraction']}" if "fraction" in found else ""
    time = f"{_hour(form, found)}:{found.get('minute') or 0:0>2}:{found.get('second') or 0:0>2}{fraction}"
    return f"{day}T{time}{found.get('zone') or ''}"


def _year(found: Mapping[str, str]) -> str:
    if "year" in found:
        return found["year"]
    short = found["short_year"]
    return f"20{short}" if short < "69" else f"19{short}"  # as POSIX has it


def _month(found: Mapping[str, str]) -> str:
    if "month" in found:
        return f"{found['month']:0>2}"
    return f"{MONTHS.index(found['month_name'][:3].lower()) + 1:02}"


def _hour(form: TimeFormat, found: Mapping[str, str]) -> str:
    hour = int(found["hour"])
    if not form.half_day:
        return f"{hour:02}"
    if not 1 <= hour <= 12:
        raise ValueError("an hour of the half day is 1 to 12")
    return f"{hour % 12 + 12 * (found['half'] in 'Pp'):02}"
