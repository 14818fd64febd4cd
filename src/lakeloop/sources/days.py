"""The days that a source has, and the days to work on when a person names one end of a range, or none."""

from __future__ import annotations

from collections.abc import Sequence

from lakeloop.errors import ConfigurationError
from lakeloop.settings import Settings
from lakeloop.sources.registry import open_source
from lakeloop.spec.days import days_between, yesterday
from lakeloop.spec.loop import LoopSpec

_NAMED_DAYS = 5


def whole_days(loop: LoopSpec, settings: Settings, newest: str = "") -> list[str]:
    """The days whose delivery is there and will not grow any more, oldest first; no delivery is opened.

    Unless deliveries are whole from the beginning, days after `newest` (default: yesterday) are left out.
    Empty when there is none, and when the source cannot be used as it is declared: ingest says why.
    """
    try:
        source, newest = open_source(loop, settings), newest or yesterday(loop.schedule.timezone)
        return [day for day in source.partitions() if source.replays or day <= newest]
    except ConfigurationError:
        return []


def days_to_run(loop: LoopSpec, settings: Settings, first: str | None, last: str | None) -> list[str]:
    """The days from `first` to `last` that the source has, or that of labels.

    An end that is not given is that of `whole_days`. A day that is named is among them, there or not; so are
    all days where the source has none at all. Deliveries of days that are not over are left to the schedule.
    Empty when there is no delivery and neither end is given.

    Raises:
        ConfigurationError: `first` or `last` is no day, or `last` is before `first`.
    """
    there = whole_days(loop, settings)
    if of_labels := loop.of_labels:
        there = sorted({*there, *whole_days(of_labels, settings)})
    if not there and not (first or last):
        return []
    named, known = {first, last}, set(there)
    last = last or max(there[-1] if there else yesterday(loop.schedule.timezone), first or "")
    days = days_between(first or min(there[0] if there else last, last), last)
    return [day for day in days if not known or day in known or day in named]


def without_delivery(days: Sequence[str]) -> list[str]:
    """The days between the first and the last of `days` (from `days_to_run`) that are not among them."""
    return sorted(set(days_between(days[0], days[-1])) - set(days)) if days else []


def in_short(days: Sequence[str]) -> str:
    """The first of `days`, for a sentence."""
    return f"{', '.join(days[:_NAMED_DAYS])}{' and more' if len(days) > _NAMED_DAYS else ''}"
