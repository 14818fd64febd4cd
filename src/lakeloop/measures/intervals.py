"""Where a score would lie with other rows of the same kind: intervals of 95 %.

Percentile bootstrap (Efron and Tibshirani 1993): rows are drawn with replacement, as many as there are, and
the interval has the middle 95 % of their scores, moved by what these are off on the whole: a distance, such
as the calibration error, is larger for a draw than for the rows. The draws are the same for all metrics and
all models of as many rows. A share of right rows has Wilson's interval instead, which needs no draws, and
has a width at 0 and at 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from lakeloop.measures.base import MetricSpec, Outcomes

if TYPE_CHECKING:
    from numpy.typing import NDArray

Interval: TypeAlias = tuple[float, float]
"""Lower and upper end, in the unit of the score."""
CONFIDENCE = 0.95
RESAMPLES = 1000
_SEED = 95
"""Of the draws: the same answers give the same interval, on whatever machine."""
_Z = 1.959963984540054
"""The quantile 0.975 of the normal distribution."""
_AT_ONCE = 2_000_000
"""Weights that are held at once: 16 MB of float64."""
_SLOW_DRAWS = 200
"""Draws for a metric that has to be computed anew for each."""
_FEWEST = 2
"""Rows, below which there is nothing to draw."""


def wilson(right: int, rows: int) -> Interval:
    """Interval of 95 % of a share of which `right` of `rows` were seen (Wilson 1927)."""
    share, weight = right / rows, _Z**2 / rows
    middle = (share + weight / 2) / (1 + weight)
    half = _Z * math.sqrt(share * (1 - share) / rows + weight / (4 * rows)) / (1 + weight)
    return max(0.0, middle - half), min(1.0, middle + half)


def intervals_of(
    metrics: Sequence[MetricSpec], found: Outcomes, scores: Mapping[str, float]
) -> dict[str, Interval]:
    """Name -> interval of 95 % of those of `metrics` that have one of `scores`; none for less than two rows.

    A score that too few of the draws have is left out.
    """
    asked = [metric for metric in metrics if metric.name in scores and found.rows >= _FEWEST]
    resampled = [metric for metric in asked if not metric.of_right_rows]
    drawn = scores_of_draws(resampled, found) if resampled else {}
    intervals = {
        metric.name: (
            wilson(round(scores[metric.name] * found.rows), found.rows)
            if metric.of_right_rows
            else percentiles(drawn[metric.name], scores[metric.name], metric.lowest, metric.highest)
        )
        for metric in asked
    }
    return {name: interval for name, interval in intervals.items() if interval is not None}


def scores_of_draws(
    metrics: Sequence[MetricSpec], found: Outcomes, resamples: int = RESAMPLES
) -> dict[str, NDArray[Any]]:
    """Name -> scores, float64, of `resamples` draws of the rows, the same draws for every metric and model.

    A metric whose draws take long has fewer: the first of them. NaN where a draw has no score.
    """
    scored = _Scored(metrics, found)
    for weights in drawn_weights(found.rows, resamples):
        scored.add(weights)
    return scored.scores()


class _Scored:
    """The scores of one model by some metrics, block after block of draws of its rows."""

    def __init__(self, metrics: Sequence[MetricSpec], found: Outcomes) -> None:
        self._metrics = metrics
        self._found = found
        self._most = {metric.name: _most(metric, found) for metric in metrics}
        self._prepared: dict[Any, Callable[[NDArray[Any]], NDArray[Any]]] = {}
        self._parts: dict[str, list[NDArray[Any]]] = {metric.name: [] for metric in metrics}
        self._done = 0

    def add(self, weights: NDArray[Any]) -> None:
        """The scores of more draws: float64 [draws, rows], how often each has each row."""
        numbers: dict[Any, NDArray[Any]] = {}
        for metric in self._metrics:
            asked, draws = weights[: max(0, self._most[metric.name] - self._done)], metric.draws
            if draws is None:
                self._parts[metric.name].append(_one_by_one(metric, self._found, asked))
            elif len(asked):
                if (key := draws.prepare) not in self._prepared:
                    self._prepared[key] = draws.prepare(self._found)
                if key not in numbers:
                    numbers[key] = self._prepared[key](asked)
                self._parts[metric.name].append(draws.score(numbers[key]))
        self._done += len(weights)

    def scores(self) -> dict[str, NDArray[Any]]:
        import numpy as np

        return {name: np.concatenate(scores) for name, scores in self._parts.items()}


def _most(metric: MetricSpec, found: Outcomes) -> int:
    if metric.draws is None:
        return _SLOW_DRAWS
    return metric.draws.most(found) if metric.draws.most else RESAMPLES


def paired_advantages(metric: MetricSpec, one: Outcomes, other: Outcomes) -> NDArray[Any]:
    """How much better `one` is than `other` in each draw of their rows, which both have in the same order.

    The draws are those of `scores_of_draws`. Where the metric does not tell some rows apart, of either model,
    what is counted is how often such rows are drawn together: of ten classes some hundred numbers, however
    many rows there are.
    """
    rows, cells = one.rows, None
    if metric.draws is not None and metric.draws.alike is not None:
        first, cells = _cells([metric.draws.alike(found) for found in (one, other)])
        one, other = one.take(first), other.take(first)
    both = [_Scored([metric], found) for found in (one, other)]
    for weights in drawn_weights(rows, cells=cells):
        for scored in both:
            scored.add(weights)
    ours, theirs = (scored.scores()[metric.name] for scored in both)
    advantages: NDArray[Any] = ours - theirs if metric.higher_is_better else theirs - ours
    return advantages


def _cells(alike: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Of numbers of each row, int [rows], the first row of each combination of them, and that of each row."""
    import numpy as np

    cells = np.zeros(len(alike[0]), dtype=np.int64)
    first = cells[:1]
    for numbers in alike:
        # Small numbers again after each step: a product of two of them is never too large.
        small = np.unique(numbers, return_inverse=True)[1]
        _, first, cells = np.unique(cells * len(numbers) + small, return_index=True, return_inverse=True)
    return first, cells


def drawn_weights(
    rows: int, resamples: int = RESAMPLES, *, cells: NDArray[Any] | None = None
) -> Iterator[NDArray[Any]]:
    """Blocks of float64 [draws, rows]: how often each draw has each row.

    With `cells`, int [rows] from 0 on, float64 [draws, cells]: how often the same draws have a row of each.
    """
    import numpy as np

    random, size = np.random.default_rng(_SEED), max(1, _AT_ONCE // rows)
    width = rows if cells is None else int(cells.max()) + 1
    for first in range(0, resamples, size):
        draws = min(size, resamples - first)
        picked = random.integers(0, rows, (draws, rows))
        if cells is not None:
            picked = cells[picked]
        picked += width * np.arange(draws)[:, None]
        yield np.bincount(picked.ravel(), minlength=draws * width).reshape(draws, width).astype(np.float64)


def percentiles(
    drawn: NDArray[Any], score: float, lowest: float | None = None, highest: float | None = None
) -> Interval | None:
    """The middle 95 % of the scores of draws, moved by how far their mean is from `score`, and in its range.

    None where less than half of the draws have a score, or all of them the same one: that rows are all right,
    or all wrong, is no promise that others are, and an interval without a width would be one.
    """
    import numpy as np

    known = drawn[np.isfinite(drawn)]
    if 2 * len(known) < len(drawn) or not np.ptp(known):
        return None
    ends = np.quantile(known, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]) - (known.mean() - score)
    low, high = np.clip(ends, lowest, highest)
    return float(low), float(high)


def _one_by_one(metric: MetricSpec, found: Outcomes, weights: NDArray[Any]) -> NDArray[Any]:
    import numpy as np

    scores = []
    for row in weights:
        places = np.repeat(np.arange(found.rows), row.astype(np.int64))
        drawn = found.take(places)
        missing = metric.undefined is not None and metric.undefined(drawn)
        scores.append(math.nan if missing else metric.compute(drawn))
    return np.array(scores)
