"""How good the best of further trials may become, so that a search that cannot win is ended.

Scores of trials are taken for draws from a Gumbel distribution, whose maximum of r draws is Gumbel again with
its location moved by scale times ln r; location and scale are fitted by moments (mean and standard deviation;
E. J. Gumbel, Statistics of Extremes, 1958). A sampler that learns does better than chance: it is taken for
one with `_LUCK` times as many trials.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

FEWEST = 5
"""Whole trials before anything can be said."""
_EULER = 0.5772156649
_SURE = 0.95
_LUCK = 4.0


def optimistic(scores: Sequence[float], further: int, *, higher_is_better: bool = True) -> float | None:
    """What the best of `scores` and of `further` trials stays short of with 95 %; None with too few scores.

    For a metric of which less is better: what it stays above.
    """
    if len(scores) < FEWEST:
        return None
    sign = 1.0 if higher_is_better else -1.0
    values = [sign * score for score in scores]
    best = max(values)
    if further <= 0:
        return sign * best
    scale = statistics.stdev(values) * math.sqrt(6) / math.pi
    location = statistics.fmean(values) - _EULER * scale
    reach = location + scale * (math.log(_LUCK * further) - math.log(-math.log(_SURE)))
    return sign * max(best, reach)
