"""Whether a cron comes once on each calendar day of its time zone, and which day it came for last.

A run works on the day before it, so any other cron would miss days or do them more than once.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from lakeloop.spec.days import day_before

_YEARS = 5
"""As far as one looks: a leap day is in it, and both changes of the clocks of each year."""
_A_DAY = timedelta(days=1)


@functools.lru_cache
def first_fault(cron: str, zone: str, start: date) -> str:
    """What is wrong with the first day, from `start` on, that is missed or done twice; empty when none is.

    `cron` has five fields that some day match. A time of day that does not exist, because the clocks go
    forward, is the one as much later: it can be on the next day.
    """
    expected = start
    for tick in _ticks(cron, start):
        found = _on_the_clock(tick, ZoneInfo(zone))
        moved = f" (in {zone}, where the clocks change)" if found != tick.date() else ""
        if found > expected:
            return f"no run is on {expected:%A} {expected}{moved}, so {expected - _A_DAY} would be missed"
        if found < expected:
            return f"a second run is on {found:%A} {found}{moved}, so {found - _A_DAY} would be done again"
        if (expected := found + _A_DAY) > start + _YEARS * 365 * _A_DAY:
            break
    return ""


def newest_due(cron: str, zone: str, moment: datetime) -> str:
    """The newest day that a run by `cron`, which comes once a day, worked on until `moment` (aware)."""
    clock = moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    came = next(_ticks(cron, clock.date())) <= clock
    return day_before(moment if came else moment - _A_DAY, zone)


def _on_the_clock(tick: datetime, zone: ZoneInfo) -> date:
    """The day that a clock in `zone` shows when the cron's `tick` (no zone) comes."""
    return tick.replace(tzinfo=zone).astimezone(UTC).astimezone(zone).date()


def _ticks(cron: str, start: date) -> Iterator[datetime]:
    """The times of `cron` from the day `start` on, without a zone."""
    midnight = datetime.combine(start, datetime.min.time())
    minute, hour, *days = cron.split()
    if minute.isdecimal() and hour.isdecimal() and days == ["*", "*", "*"]:
        tick = midnight.replace(hour=int(hour), minute=int(minute))
        while True:
            yield tick
            tick += _A_DAY
    from croniter import croniter  # 0.1 s

    ticks = croniter(cron, midnight - timedelta(seconds=1))
    while True:
        yield ticks.get_next(datetime)
