"""A day beside the days before it: how many rows, how new, how often nothing and how often each value.

What is usual is `usual`'s arithmetic; the numbers of a day are its `profile`. The share of days without
anything wrong that are told of all the same is dealt out over all that is compared.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from lakeloop.quality.kinds.base import Wanted, catalogue
from lakeloop.quality.profile import Profile
from lakeloop.quality.usual import (
    Bounds,
    Counts,
    bounds_of_amount,
    bounds_of_counts,
)

if TYPE_CHECKING:
    from lakeloop.spec.history import History

FIGURES = "figures"
"""Table with one row: `history_days`, and a column for each aspect that is compared as one number."""
_SHOWN = 5
_LEAST_KNOWN = 3
"""Days on which a value must have been counted, be it 0 times."""
_DAY_HOURS = 24.0
_SOONEST = 1 / 3600
"""Hours: what is newer than a second before the end of the day is as new as can be."""


@dataclass(frozen=True)
class Compared:
    """One number of a day beside those of the days before."""

    of: str
    """The value that is counted; empty where the aspect has one number only."""
    value: float
    low: float
    high: float
    usual: float
    before: tuple[float | None, ...]
    """Oldest first; None where it is not known."""
    form: Literal["rows", "share", "hours"]
    new: bool = False
    """On none of the days before."""

    @property
    def unusual(self) -> bool:
        return not self.low <= self.value <= self.high

    def say(self, value: float) -> str:
        """`value` as a person reads it."""
        if self.form == "rows":
            return f"{value:,.0f}"
        return f"{value:.3g} h" if self.form == "hours" else f"{value:.2%}"

    @property
    def words(self) -> str:
        """For one of several values."""
        if self.new:
            return f"{self.of} {self.say(self.value)} (on none of the days before)"
        return f"{self.of} {self.say(self.value)} (usual {self.say(self.low)} to {self.say(self.high)})"


@dataclass(frozen=True)
class Aspect:
    """What is compared by one check."""

    name: str
    """Such as `history_nulls_text`."""
    what: str
    days: int
    """Days before that it is known of."""
    compared: tuple[Compared, ...]
    """Empty where these are too few."""


_Days = Sequence[tuple[str, Profile]]
_Known = Sequence[tuple[int, int] | None]
"""Of each day, how many of how many; None where that is not known."""


def compare(day: str, profile: Profile, before: _Days, rules: History) -> tuple[Aspect, ...]:
    """The aspects that `rules` ask for, of the day and of what was published before, oldest first."""
    before = before[-rules.days :]
    asked = list(_asked(profile, before, rules))
    judged = [one for one in asked if len(one.days) >= rules.least_days]
    outside = rules.false_alarms / max(len(judged), 1)
    return tuple(
        Aspect(
            one.name,
            one.what,
            len(one.days),
            one.bounds(date.fromisoformat(day), outside) if one in judged else (),
        )
        for one in asked
    )


@dataclass(frozen=True)
class _Asked:
    name: str
    what: str
    days: _Days
    bounds: Callable[[date, float], tuple[Compared, ...]]


def _asked(profile: Profile, before: _Days, rules: History) -> Iterator[_Asked]:
    if rules.volume:
        there = [(day, past) for day, past in before if past.rows]
        yield _Asked("history_volume", "rows", there, lambda day, a: _volume(profile, there, day, a))
    if rules.freshness and profile.age_hours is not None:
        dated = [(day, past) for day, past in before if past.age_hours is not None]
        if dated:
            yield _Asked(
                "history_freshness",
                "hours from the newest event time to the end of the day",
                dated,
                lambda day, a: _freshness(profile, dated, day, a),
            )
    if rules.quarantined and profile.lines:
        read = [(day, past) for day, past in before if past.lines]
        yield _Asked(
            "history_quarantined",
            "share of the lines in quarantine",
            read,
            lambda day, a: _share(lambda one: (one.quarantined, one.lines), profile, read, day, a),
        )
    if not profile.rows:
        return
    if rules.nulls:
        yield from _asked_of_nulls(profile, before)
    if rules.shares:
        yield from _asked_of_values(profile, before)


def _asked_of_nulls(profile: Profile, before: _Days) -> Iterator[_Asked]:
    there = [(day, past) for day, past in before if past.rows]
    counts = {
        name: [(past.nulls[name], past.rows) if name in past.nulls else None for _, past in there]
        for name in profile.nulls
    }

    @functools.cache
    def of_all(day: date, outside: float) -> list[Bounds]:
        every = _counts(list(counts.values()), there)
        return bounds_of_counts(every, profile.rows, day.weekday(), outside * len(counts))

    for number, (name, found) in enumerate(counts.items()):

        def bounds(
            day: date, outside: float, number: int = number, name: str = name, found: _Known = found
        ) -> tuple[Compared, ...]:
            within = of_all(day, outside)[number]
            return (_as_share("", profile.nulls[name], profile.rows, within, found),)

        known = [each for each, count in zip(there, found, strict=True) if count is not None]
        yield _Asked(f"history_nulls_{name}", f"share of rows without {name}", known, bounds)


def _asked_of_values(profile: Profile, before: _Days) -> Iterator[_Asked]:
    for name in profile.values:
        known = [(day, past) for day, past in before if name in past.values and past.valued(name)]

        def bounds(day: date, outside: float, name: str = name, known: _Days = known) -> tuple[Compared, ...]:
            return _values(name, profile, known, day, outside)

        yield _Asked(f"history_shares_{name}", f"share of each value of {name}", known, bounds)


def _volume(profile: Profile, before: _Days, day: date, outside: float) -> tuple[Compared, ...]:
    rows = [float(past.rows) for _, past in before]
    # Rows that come one by one vary by as much as their number's root, whatever was seen.
    bounds = bounds_of_amount(
        rows, _weekdays(before), day.weekday(), outside, 1 / math.sqrt(float(np.median(rows)))
    )
    return (_compared("", float(profile.rows), bounds, rows, "rows"),)


def _freshness(profile: Profile, before: _Days, day: date, outside: float) -> tuple[Compared, ...]:
    ages = [max(past.age_hours or 0.0, _SOONEST) for _, past in before]
    gap = _DAY_HOURS / max(float(np.median([past.rows for _, past in before])), 1.0)
    spread = math.log1p(gap / float(np.median(ages)))
    bounds = bounds_of_amount(ages, _weekdays(before), day.weekday(), min(2 * outside, 0.5), spread)
    age = max(profile.age_hours or 0.0, _SOONEST)
    return (_compared("", age, Bounds(0.0, bounds.high, bounds.usual), ages, "hours"),)


def _share(
    counted: Callable[[Profile], tuple[int, int]], profile: Profile, before: _Days, day: date, outside: float
) -> tuple[Compared, ...]:
    counts = [counted(past) for _, past in before]
    count, of = counted(profile)
    (bounds,) = bounds_of_counts(_counts([counts], before), of, day.weekday(), outside)
    return (_as_share("", count, of, bounds, counts),)


def _values(name: str, profile: Profile, before: _Days, day: date, outside: float) -> tuple[Compared, ...]:
    names = dict.fromkeys(value for past in (profile, *(p for _, p in before)) for value in past.values[name])
    known: dict[str, list[tuple[int, int] | None]] = {}
    for value in names:
        found = [(past.count(name, value), past.valued(name)) for _, past in before]
        counts = [None if count is None else (count, of) for count, of in found]
        if profile.count(name, value) is not None and len(counts) - counts.count(None) >= _LEAST_KNOWN:
            known[value] = counts
    of = profile.valued(name)
    if not (of and known):
        return ()
    bounds = bounds_of_counts(_counts(list(known.values()), before), of, day.weekday(), outside)
    compared = [
        _as_share(value, profile.count(name, value) or 0, of, within, counts)
        for (value, counts), within in zip(known.items(), bounds, strict=True)
    ]
    return tuple(sorted(compared, key=lambda one: (not one.unusual, not one.new, -one.value, one.of)))


def _counts(known: Sequence[_Known], days: _Days) -> Counts:
    numbers = np.asarray([[one or (0, 0) for one in counts] for counts in known], dtype=float)
    return Counts(numbers[:, :, 0], numbers[:, :, 1], np.asarray(_weekdays(days)))


def _as_share(name: str, count: int, of: int, bounds: Bounds, before: _Known) -> Compared:
    # Half a row on each side: shares are compared as such by Great Expectations, too.
    low, high = max((bounds.low - 0.5) / of, 0.0), min((bounds.high + 0.5) / of, 1.0)
    past = [None if one is None else one[0] / one[1] for one in before]
    new = bool(count) and not any(past)
    return Compared(name, count / of, low, high, bounds.usual / of, tuple(past), "share", new=new)


def _compared(
    name: str, value: float, bounds: Bounds, before: Sequence[float], form: Literal["rows", "hours"]
) -> Compared:
    return Compared(name, value, bounds.low, bounds.high, bounds.usual, tuple(before), form)


def _weekdays(days: _Days) -> list[int]:
    return [date.fromisoformat(day).weekday() for day, _ in days]


def figures(aspects: Sequence[Aspect], days: int) -> dict[str, float]:
    """The row of `FIGURES`: of an aspect of several values, how many are unusual."""
    one_number = {
        aspect.name: float(sum(one.unusual for one in aspect.compared))
        if len(aspect.compared) != 1 or aspect.compared[0].of
        else aspect.compared[0].value
        for aspect in aspects
    }
    return {"history_days": float(days), **one_number}


def wanted_of(aspect: Aspect, least_days: int) -> Wanted:
    """`aspect` as an expectation on `FIGURES`, with words for it."""
    made = catalogue().ExpectColumnMaxToBeBetween
    if not aspect.compared:
        expectation = made(column="history_days", min_value=0)
        words = f"not enough history: {aspect.days} of {least_days} days"
        return Wanted(aspect.name, f"{aspect.what}, as usual", expectation, lambda _: words)
    before = f"as on the {aspect.days} days before"
    if len(aspect.compared) == 1 and not aspect.compared[0].of:
        (one,) = aspect.compared
        limits = {"min_value": one.low, "max_value": one.high}
        expected = f"{aspect.what}: {one.say(one.low)} to {one.say(one.high)}, {before}"
        found = _said(one)
        return Wanted(aspect.name, expected, made(column=aspect.name, **limits), found)
    unusual = [one.words for one in aspect.compared if one.unusual]
    more = f" and {len(unusual) - _SHOWN} more" if len(unusual) > _SHOWN else ""
    said = "; ".join(unusual[:_SHOWN]) + more or f"each of {len(aspect.compared)} value(s) is usual"
    expectation = made(column=aspect.name, max_value=0)
    return Wanted(aspect.name, f"{aspect.what}, {before}", expectation, lambda _: said)


def _said(one: Compared) -> Callable[[Mapping[str, Any]], str]:
    return lambda result: one.say(float(result.get("observed_value") or 0.0))
