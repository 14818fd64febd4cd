"""Tests of two models on the same rows: is the difference more than chance, and how large can it be.

Light: arrays of numpy are imported by the functions alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from lakeloop.measures.base import MetricSpec, Outcomes
from lakeloop.measures.intervals import paired_advantages

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIGNIFICANCE = 0.05
"""Chance at which a difference that is none may be taken for one, on one side."""


_MOST_COUNTED = 5000
"""Rows that change: the outcomes of more are numbers of so many digits that counting them takes minutes, and
the same sum is had from the incomplete beta function, right to some twelve digits."""


class Difference(NamedTuple):
    """How much better one model is than another by a metric; negative where it is worse."""

    advantage: float
    """In the unit of the metric."""
    low: float
    """Lower end of the interval that has the true advantage with 90 %."""
    high: float
    p_better: float
    """Chance of such an advantage, or a larger one, between two models that are equally good."""
    p_worse: float
    """Chance of such an advantage, or a smaller one, between two models that are equally good."""


def mcnemar(gained: int, lost: int) -> float:
    """One-sided p of McNemar's exact test (McNemar 1947): chance of `gained` or more of gained + lost.

    `gained` are rows that only the first model has right, `lost` those that only the second has; rows that
    both have right or wrong say nothing. 1 where there is none.
    """
    changed = gained + lost
    if changed > _MOST_COUNTED:
        from scipy.special import betainc

        return float(betainc(gained, lost + 1, 0.5)) if gained else 1.0
    # Of n coins, the share of the outcomes with `gained` heads or more; of whole numbers, so it is exact.
    term, outcomes = 1, 0
    for heads in range(changed, gained - 1, -1):
        outcomes += term
        term = term * heads // (changed - heads + 1)
    return float(outcomes / 2**changed)


def holm(chances: Sequence[float]) -> list[float]:
    """Holm's correction of p values for their number (Holm 1979), in the order given.

    Refusing where a corrected p is at most a, the chance to refuse any of those that hold is at most a.
    """
    ranked = sorted(range(len(chances)), key=lambda number: chances[number])
    corrected, largest = [0.0] * len(chances), 0.0
    for rank, number in enumerate(ranked):
        largest = max(largest, min(1.0, (len(chances) - rank) * chances[number]))
        corrected[number] = largest
    return corrected


def paired_bootstrap(metric: MetricSpec, one: Outcomes, other: Outcomes) -> Difference:
    """The advantage of `one` over `other`, of the same rows in the same order, by resampling the rows.

    Paired bootstrap (Efron and Tibshirani 1993; Koehn 2004): rows are drawn with replacement, the same for
    both models; the interval has the middle nine tenths of the advantages.
    """
    import numpy as np

    found = paired_advantages(metric, one, other)
    found = found[np.isfinite(found)]
    advantage = metric.advantage(metric.compute(one), metric.compute(other))
    low, high = np.quantile(found, [SIGNIFICANCE, 1 - SIGNIFICANCE])
    return Difference(
        advantage,
        float(low),
        float(high),
        p_better=_chance(found <= 0),
        p_worse=_chance(found >= 0),
    )


def difference_of_shares(gained: int, lost: int, rows: int) -> Difference:
    """The advantage in the share of `rows` that are right, by McNemar's exact test.

    The interval is the one of Agresti and Min (2005): Wald's, with half a row added to each of the four
    cells of the table.
    """
    total = rows + 2
    changed, shift = (gained + lost + 1) / total, (gained - lost) / total
    half = _Z_90 * math.sqrt(max(changed - shift**2, 0.0) / total)
    return Difference(
        (gained - lost) / rows,
        max(-1.0, shift - half),
        min(1.0, shift + half),
        p_better=mcnemar(gained, lost),
        p_worse=mcnemar(lost, gained),
    )


_Z_90 = 1.6448536269514722
"""The quantile 0.95 of the normal distribution."""


def _chance(hits: NDArray[Any]) -> float:
    # The sample itself counts as one of the draws: no chance is 0 (Davison and Hinkley 1997, 4.4).
    return float((hits.sum() + 1) / (len(hits) + 1))
