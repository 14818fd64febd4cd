"""Partitions are calendar days in the loop's time zone, written YYYY-MM-DD: read one, list a range.

Which day a run works on is one rule for all kinds of runs: `day_before`.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from lakeloop.errors import ConfigurationError
from lakeloop.records import now
from lakeloop.spec.quoting import quote

DAY_IN_PATH = "{partition}"
"""Stands for the day in a path."""

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_MOST_DAYS = 3660


def require_day(text: str, where: str = "partition") -> str:
    """`text`, when it is a real day.

    Raises:
        ConfigurationError: it is not written YYYY-MM-DD, or there is no such day.
    """
    _parse(text, where)
    return text


def is_day(text: str) -> bool:
    """Whether `text` is a real day, written YYYY-MM-DD."""
    try:
        _parse(text, "")
    except ConfigurationError:
        return False
    return True


def day_before(moment: datetime, zone: str) -> str:
    """The day that a run at `moment` (aware) works on: the calendar day before, in the time zone `zone`.

    `zone` is an IANA name. That day is over, whatever the clocks did.
    """
    return (moment.astimezone(ZoneInfo(zone)).date() - timedelta(days=1)).isoformat()


def yesterday(zone: str) -> str:
    """The newest day that is over in the time zone `zone`: the day that a run at this moment works on."""
    return day_before(now(), zone)


def days_between(first: str, last: str) -> list[str]:
    """All days from `first` to `last`, both included, oldest first.

    Raises:
        ConfigurationError: one is no day, they are the wrong way round, or they span more than ten years.
    """
    start, end = _parse(first, "first day"), _parse(last, "last day")
    count = (end - start).days + 1
    if not 1 <= count <= _MOST_DAYS:
        raise ConfigurationError(
            "not a range of days",
            where=f"{first} to {last}",
            expected=f"1 to {_MOST_DAYS} days, the first day first",
            found=f"{count} days",
        )
    return [(start + timedelta(days=n)).isoformat() for n in range(count)]


def _parse(text: str, where: str) -> date:
    reason = "not written YYYY-MM-DD"
    if _DAY.fullmatch(text):
        try:
            return date.fromisoformat(text)
        except ValueError as error:
            reason = str(error)
    raise ConfigurationError(
        "not a day",
        where=where,
        expected=f"a real day written YYYY-MM-DD, such as {yesterday('UTC')}",
        found=f"{quote(text)} ({reason})",
    )
