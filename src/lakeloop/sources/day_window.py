"""The window of one day: its bounds as moments, and as numbers since 1970."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def bounds(day: str, zone: str) -> tuple[datetime, datetime]:
    """The first moment of a day in a time zone and that of the next day, in UTC."""
    first = date.fromisoformat(day)
    last = first + timedelta(days=1) if first < date.max else first
    return _midnight(first, zone), _midnight(last, zone)


def _midnight(day: date, zone: str) -> datetime:
    moment = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone))
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return moment.replace(tzinfo=UTC)


def since_1970(moment: datetime, unit: int) -> int:
    """The first whole number of units (of `unit` microseconds) that is not before `moment`."""
    microseconds = (moment - _EPOCH) // timedelta(microseconds=1)
    return -(-microseconds // unit)
