"""Scores of many draws of the rows at once: from sums over the rows, and from the order of the rows.

A draw is told by how often it has each row, its weights. A score of sums is a product of matrices for all
draws together; one of ranks a running sum along the order of the rows, which is the same in all draws.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from lakeloop.measures.base import Outcomes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[Any]


_WORK = 500_000_000
"""Weights, times columns that rows are sorted by, that are worked through at most: three seconds of a CPU."""
_FEWEST_DRAWS = 200


def sums_of(parts: Callable[[Outcomes], Floats]) -> Callable[[Outcomes], Callable[[Floats], Floats]]:
    """For `Draws.prepare`: the sums over the rows of `parts`, float [rows, n], n numbers of each row.

    Where most of them are 0 they come as an array of `scipy.sparse`, and only the others are held.
    """

    def prepare(found: Outcomes) -> Callable[[Floats], Floats]:
        import numpy as np

        table = parts(found)
        if isinstance(table, np.ndarray):
            table = table.astype(np.float64, copy=False)
        return lambda weights: weights @ table

    return prepare


def mean_score(sums: Floats) -> Floats:
    """For `Draws.score`: the mean of a number of each row, of the sums [draws, 2] of ones and of that."""
    return sums[:, 1] / sums[:, 0]


def mean_of(values: Callable[[Outcomes], Any]) -> Callable[[Outcomes], Callable[[Floats], Floats]]:
    """For `Draws.prepare`, with `mean_score`: ones, and `values`, numbers [rows]."""

    def parts(found: Outcomes) -> Floats:
        import numpy as np

        return np.column_stack([np.ones(found.rows), values(found)])

    return sums_of(parts)


def ranking(
    columns: Callable[[Outcomes], tuple[Floats, Floats]],
) -> Callable[[Outcomes], Callable[[Floats], Floats]]:
    """For `Draws.prepare`: mean area under the ROC curve and mean average precision, [draws, 2].

    `columns` are bool [rows, n], what is to be found, and float [rows, n], by what it is sought: the more the
    sooner. The means are over the columns in which a draw has what there is to tell apart; of equal scores
    none comes before another, as scikit-learn has both.
    """

    def prepare(found: Outcomes) -> Callable[[Floats], Floats]:
        import numpy as np

        truths, scores = columns(found)
        sorted_by = [np.argsort(-scores[:, column], kind="stable") for column in range(scores.shape[1])]

        def numbers(weights: Floats) -> Floats:
            turned = np.ascontiguousarray(weights.T)
            areas, precisions = [], []
            for column, order in enumerate(sorted_by):
                area, precision = _curves(turned[order], truths[order, column], scores[order, column])
                areas.append(area)
                precisions.append(precision)
            return np.column_stack([_mean_of_known(areas), _mean_of_known(precisions)])

        return numbers

    return prepare


def most_rankings(found: Outcomes) -> int:
    """For `Draws.most` of scores of ranks: fewer draws where many rows are sorted by many columns."""
    return max(_FEWEST_DRAWS, _WORK // max(1, found.outputs.size))


def _curves(weights: Floats, truth: Floats, score: Floats) -> tuple[Floats, Floats]:
    """ROC area and average precision of each draw, of `weights` [rows, draws], the highest score first."""
    import numpy as np

    # Neither curve turns where nothing is found: rows between are added up, and equal scores are one step.
    starts = np.flatnonzero(np.r_[True, score[1:] != score[:-1]])
    of_hits = np.searchsorted(starts, np.flatnonzero(truth), side="right") - 1
    steps, first = np.unique(of_hits, return_index=True)
    if not len(steps):
        return np.full(weights.shape[1], np.nan), np.full(weights.shape[1], np.nan)
    cuts = np.union1d(starts[steps], np.r_[starts, len(score)][steps + 1])
    cuts = np.union1d(cuts[cuts < len(score)], [0])
    pieces, at = np.add.reduceat(weights, cuts, axis=0), np.searchsorted(cuts, starts[steps])
    drawn, reached = pieces[at], np.cumsum(pieces, axis=0)[at]
    hits = np.add.reduceat(weights[truth], first, axis=0)
    found = np.cumsum(hits, axis=0)
    there = found[-1]
    others = weights.sum(axis=0) - there
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(reached > 0, hits * found / reached, 0.0).sum(axis=0) / there
        behind = others - (reached - found) + (drawn - hits) / 2
        area = (hits * behind).sum(axis=0) / (there * others)
    return np.where(there > 0, area, np.nan), np.where(there > 0, precision, np.nan)


def _mean_of_known(columns: list[Floats]) -> Floats:
    import numpy as np

    table = np.stack(columns)
    known = np.isfinite(table)
    with np.errstate(invalid="ignore"):
        mean: Floats = np.where(known, table, 0.0).sum(axis=0) / known.sum(axis=0)
    return mean


def rank_correlation(found: Outcomes) -> Callable[[Floats], Floats]:
    """For `Draws.prepare`: Spearman's correlation of answer and truth, [draws, 1]; 0 without variance."""
    import numpy as np

    ranks = _ranks(found.truth), _ranks(found.answer)

    def numbers(weights: Floats) -> Floats:
        turned = np.ascontiguousarray(weights.T)
        total = turned.sum(axis=0)
        first, second = (of(turned) - (total + 1) / 2 for of in ranks)  # the mean rank is (n + 1) / 2
        products = [
            (turned * one * other).sum(axis=0)
            for one, other in ((first, second), (first, first), (second, second))
        ]
        spread = np.sqrt(products[1] * products[2])
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(spread > 0, products[0] / spread, 0.0)[:, None]

    return numbers


def _ranks(values: Floats) -> Callable[[Floats], Floats]:
    """From weights [rows, draws] to the ranks of rows in each draw; equal values share their mean rank."""
    import numpy as np

    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    group = np.empty(len(values), dtype=np.int64)
    group[order] = np.repeat(np.arange(len(starts)), np.diff(np.r_[starts, len(values)]))

    def of(weights: Floats) -> Floats:
        sizes = np.add.reduceat(weights[order], starts, axis=0)
        shared = np.cumsum(sizes, axis=0) - (sizes - 1) / 2
        picked: Floats = shared[group]
        return picked

    return of
