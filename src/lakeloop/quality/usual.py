"""What is usual for a day after the days before it: bounds that a day without anything wrong rarely leaves.

Pure functions on numbers. All of them are robust: a few odd days among those before move the bounds little.
Each is told which share of usual days may lie outside. Where days of the week differ, those of the same
weekday are compared, else all.

* Amounts (rows, ages) are compared by their logarithm: median, and a spread of the residuals that are cut
  off at three times 1.4826 times their median (the standard deviation of a normal law, Hampel 1974), then
  the quantile of Student's t for a new value.
* Shares are compared by counts: a beta-binomial law (Skellam 1948), whose spread is that of binomial counts
  and of days that differ (overdispersion by moments, Williams 1982), and which grows with what is not known
  of the share. On a day of few rows it is wide by itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

_SAME_WEEKDAYS = 3
"""Days of a weekday from which it is compared with itself."""
_CUT = 3.0
_TO_SIGMA = 1.4826
_WEEKLY = 1.25
"""Days of the week differ when all days spread so many times wider than those of each weekday."""
_MEDIAN_LOSS = math.pi / 2
"""Variance of a median of normal values, in those of their mean."""
_MOST_COUNTED = 10_000
"""A day of more rows is compared as one of so many with the same shares: beyond that days differ by
themselves."""
_ROUNDS = 3
_ENOUGH_TO_DROP = 5
"""Days from which a tenth at each end is left out of the first guess of a share."""


@dataclass(frozen=True)
class Bounds:
    """Within which a usual value lies, both ends included."""

    low: float
    high: float
    usual: float
    """In the middle of what there was before."""

    def hold(self, value: float) -> bool:
        return self.low <= value <= self.high


def quantile_of_t(upper: float, freedom: float) -> float:
    """The value that Student's t with `freedom` degrees exceeds with the chance `upper`.

    By the expansion of Cornish and Fisher in 1/freedom (Abramowitz and Stegun 26.7.5): 2 % too small at
    freedom 6 and 1 in 2000, nearer beyond.
    """
    z = NormalDist().inv_cdf(1.0 - upper)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / freedom**power for power, term in enumerate(terms, start=1))


def bounds_of_amount(
    before: Sequence[float], weekdays: Sequence[int], weekday: int, outside: float, least_spread: float
) -> Bounds:
    """Within which an amount lies, given those of the days before.

    Args:
        before: amounts above 0, at least 3.
        weekdays: the day of the week of each.
        weekday: that of the day in question.
        outside: share of usual days that may lie outside.
        least_spread: of the logarithm from day to day, which there is whatever was seen.
    """
    logs = np.log(np.asarray(before, dtype=float))
    groups = _groups(weekdays, weekday, len(logs))
    spreads = [_spread(logs, each) for each in groups]
    chosen = int(len(groups) > 1 and spreads[0][0] > _WEEKLY * spreads[1][0])
    spread, freedom = spreads[chosen]
    own = logs[groups[chosen] == (weekday if chosen else 0)]
    centre = float(np.median(own))
    width = max(spread, least_spread) * math.sqrt(1.0 + _MEDIAN_LOSS / len(own))
    reach = quantile_of_t(outside / 2, max(freedom, 2.0)) * width
    low, high = (math.exp(min(centre + step, 700.0)) for step in (-reach, reach))
    return Bounds(low, high, math.exp(centre))


def _groups(weekdays: Sequence[int], weekday: int, days: int) -> list[NDArray[np.int64]]:
    """How days can be put together: all, and by weekday where there are enough of that of the day."""
    by_weekday = np.asarray(weekdays, dtype=np.int64)
    enough = int((by_weekday == weekday).sum()) >= _SAME_WEEKDAYS
    return [np.zeros(days, dtype=np.int64), *([by_weekday] if enough else [])]


def _spread(values: Numbers, group: NDArray[np.int64]) -> tuple[float, float]:
    """Standard deviation around the median of each group, odd values cut off; and its degrees of freedom."""
    residuals = np.zeros_like(values)
    freedom = 0
    for one in np.unique(group):
        there = group == one
        residuals[there] = values[there] - np.median(values[there])
        freedom += int(there.sum()) - 1
    usual = _TO_SIGMA * float(np.median(np.abs(residuals))) or 1.2533 * float(np.mean(np.abs(residuals)))
    cut = np.clip(residuals, -_CUT * usual, _CUT * usual)
    return math.sqrt(float((cut**2).sum()) / max(freedom, 1)), float(freedom)


@dataclass(frozen=True)
class Counts:
    """Counts of several things among the rows of the days before."""

    found: Numbers
    """Things by days."""
    rows: Numbers
    """The same shape: rows of the day; 0 where the count is not known."""
    weekdays: NDArray[np.int64]

    def on(self, days: NDArray[np.bool_]) -> Counts:
        return Counts(self.found[:, days], self.rows[:, days], self.weekdays[days])


def bounds_of_counts(before: Counts, rows: int, weekday: int, outside: float) -> list[Bounds]:
    """Within which the count of each thing among `rows` rows lies.

    Args:
        before: the days before, at least 3.
        rows: of the day in question, at least 1.
        weekday: its day of the week.
        outside: share of usual days that may lie outside, in one of the things or more.
    """
    things = len(before.found)
    tail = outside / things / 2
    share, correlation, freedom, known = _law(before, None)
    if int((before.weekdays == weekday).sum()) >= _SAME_WEEKDAYS:
        own = _law(before, weekday)
        weekly = _spread_of(before) > _WEEKLY**2 * np.maximum(_spread_by_weekday(before), 1.0)
        pairs = zip((share, correlation, freedom, known), own, strict=True)
        share, correlation, freedom, known = (np.where(weekly, two, one) for one, two in pairs)
    # How much days differ is known better of all things together than of one that is rare.
    frequent = share * float(np.median(before.rows[before.rows > 0])) >= 1.0
    shared = float(np.median(correlation[frequent])) if frequent.any() else 0.0
    correlation = np.maximum(correlation, shared)
    normal = NormalDist().inv_cdf(1.0 - tail)
    counted = min(rows, _MOST_COUNTED)
    bounds = []
    for number in range(things):
        # The spread is known by few days: as much wider as Student's t is than the normal law.
        wider = (quantile_of_t(tail, max(float(freedom[number]), 2.0)) / normal) ** 2
        spread = min(float(correlation[number]) * wider + 1.0 / (float(known[number]) + 1.0), 0.9)
        low, high = _beta_binomial(counted, float(share[number]), 1.0 / spread - 1.0, tail)
        scale = rows / counted
        bounds.append(Bounds(low * scale, high * scale, float(share[number]) * rows))
    return bounds


def _law(before: Counts, weekday: int | None) -> tuple[Numbers, Numbers, Numbers, Numbers]:
    """Of each thing: its share, how alike two rows of a day are, degrees of freedom, rows it is known by.

    Of all days, or the share of those of one weekday and the rest by what all days differ from their own.
    """
    if weekday is None:
        groups, there = [before], before
    else:
        groups = [before.on(before.weekdays == one) for one in np.unique(before.weekdays)]
        there = before.on(before.weekdays == weekday)
    excess, weight, freedom = (np.zeros(len(before.found)) for _ in range(3))
    for group in groups:
        days = (group.rows > 0).sum(axis=1)
        free = np.maximum(days - 1, 0)
        _, squares = _cut_off(group)
        enough = days > 1
        excess += np.where(enough, squares.sum(axis=1) - free, 0.0)
        own = np.maximum(group.rows - 1.0, 0.0).sum(axis=1) * free / np.maximum(days, 1)
        weight += np.where(enough, own, 0.0)
        freedom += free
    correlation = np.clip(excess / np.maximum(weight, 1.0), 0.0, 0.5)
    cut, _ = _cut_off(there)
    share = (cut.sum(axis=1) + 0.5) / (there.rows.sum(axis=1) + 1.0)
    known = (there.rows / (1.0 + np.maximum(there.rows - 1.0, 0.0) * correlation[:, None])).sum(axis=1)
    return share, correlation, freedom, known


def _spread_of(before: Counts) -> Numbers:
    """Squares of residuals by degrees of freedom, of each thing: 1 where days differ by chance only."""
    days = (before.rows > 0).sum(axis=1)
    spread: Numbers = _cut_off(before)[1].sum(axis=1) / np.maximum(days - 1, 1)
    return spread


def _spread_by_weekday(before: Counts) -> Numbers:
    """The same around the share of each weekday."""
    squares, freedom = np.zeros(len(before.found)), np.zeros(len(before.found))
    for one in np.unique(before.weekdays):
        group = before.on(before.weekdays == one)
        free = np.maximum((group.rows > 0).sum(axis=1) - 1, 0)
        squares += np.where(free > 0, _cut_off(group)[1].sum(axis=1), 0.0)
        freedom += free
    return squares / np.maximum(freedom, 1.0)


def _cut_off(days: Counts) -> tuple[Numbers, Numbers]:
    """Counts with those of odd days cut off, and the squares of the residuals in units of chance alone."""
    found, rows = days.found, days.rows
    there = rows > 0
    drop = math.ceil(0.1 * found.shape[1]) if found.shape[1] >= _ENOUGH_TO_DROP else 0
    order = np.argsort(found / np.maximum(rows, 1.0), axis=1)[:, drop : found.shape[1] - drop]
    first = np.take_along_axis(found, order, axis=1).sum(axis=1)
    share = (first + 0.5) / (np.take_along_axis(rows, order, axis=1).sum(axis=1) + 1.0)
    residuals, deviation = np.zeros_like(found), np.ones_like(found)
    for _ in range(_ROUNDS):
        chance = np.clip(share, 1e-9, 1.0 - 1e-9)[:, None]
        deviation = np.sqrt(np.maximum(rows * chance * (1.0 - chance), 1e-12))
        residuals = np.where(there, (found - rows * chance) / deviation, 0.0)
        usual = np.maximum(_TO_SIGMA * np.median(np.abs(residuals), axis=1), 1.0)[:, None]
        residuals = np.clip(residuals, -_CUT * usual, _CUT * usual)
        cut = np.where(there, rows * chance + residuals * deviation, 0.0)
        share = (cut.sum(axis=1) + 0.5) / (rows.sum(axis=1) + 1.0)
    return cut, residuals**2


def _beta_binomial(rows: int, share: float, precision: float, tail: float) -> tuple[int, int]:
    """The smallest and largest count that at most the chance `tail` lies beyond."""
    a, b = share * precision, (1.0 - share) * precision
    k = np.arange(rows, dtype=float)
    steps = np.log(rows - k) - np.log(k + 1.0) + np.log(a + k) - np.log(b + rows - k - 1.0)
    logs = np.concatenate([[0.0], np.cumsum(steps)])
    chances = np.exp(logs - logs.max())
    chances /= chances.sum()
    below = np.cumsum(chances)
    above = np.cumsum(chances[::-1])[::-1]
    low = int(np.searchsorted(below, tail, side="right"))  # the chance of fewer is at most the tail
    beyond = np.flatnonzero(above <= tail)
    return low, int(beyond[0]) - 1 if len(beyond) else rows
