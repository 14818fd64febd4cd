"""Metrics of one number for each row.

Outcomes: `truth` and `answer` float64 [rows], in the unit of the target; `outputs` is `answer` as a column.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lakeloop.measures.base import Draws, MetricSpec, Outcomes
from lakeloop.measures.draws import mean_of, mean_score, rank_correlation, sums_of

if TYPE_CHECKING:
    from numpy.typing import NDArray


def mae(found: Outcomes) -> float:
    """Mean absolute error, in the unit of the target."""
    return float(abs(found.answer - found.truth).mean())


def rmse(found: Outcomes) -> float:
    """Root of the mean squared error, in the unit of the target: large errors count more."""
    return float(((found.answer - found.truth) ** 2).mean() ** 0.5)


def r2(found: Outcomes) -> float:
    """Share of the variance that the answers explain; 0 is what the mean of the rows would reach, 1 is all.

    0 when the rows do not vary: then there is nothing to explain.
    """
    residual = ((found.answer - found.truth) ** 2).sum()
    total = ((found.truth - found.truth.mean()) ** 2).sum()
    return float(1 - residual / total) if total > 0 else 0.0


def spearman(found: Outcomes) -> float:
    """Rank correlation of answers and truth, -1..1; 0 when one of them does not vary.

    Spearman (1904): the Pearson correlation of the ranks, equal values sharing their mean rank.
    """
    import numpy as np

    first, second = _ranks(found.answer), _ranks(found.truth)
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])


def _ranks(values: NDArray[Any]) -> NDArray[Any]:
    import numpy as np

    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]


def _constant(found: Outcomes) -> str:
    return "" if (found.truth != found.truth[:1]).any() else "all rows have one right value"


def _squares(found: Outcomes) -> NDArray[Any]:
    """Of each row: 1, its squared error, its truth less the mean, plain and squared. Float64 [rows, 4]."""
    import numpy as np

    apart = found.truth - found.truth.mean()
    return np.column_stack([np.ones(found.rows), (found.answer - found.truth) ** 2, apart, apart**2])


def _r2(sums: NDArray[Any]) -> NDArray[Any]:
    import numpy as np

    rows, residual, apart, squared = sums.T
    total = squared - apart**2 / rows
    varies = total > 1e-12 * squared  # a draw of equal values leaves what rounding leaves
    return np.where(varies, 1 - residual / np.where(varies, total, 1), 0.0)


_OF_SQUARES = sums_of(_squares)
_OF_THE_TARGET = "of the target"
REGRESSION = (
    MetricSpec(
        "mae", "mean absolute error", mae, better="lower", highest=None, relative=True, unit=_OF_THE_TARGET,
        draws=Draws(mean_of(lambda found: abs(found.answer - found.truth)), mean_score),
    ),
    MetricSpec(
        "rmse", "root mean squared error", rmse, better="lower", highest=None, relative=True,
        unit=_OF_THE_TARGET, draws=Draws(_OF_SQUARES, lambda sums: mean_score(sums) ** 0.5),
    ),
    MetricSpec(
        "r2", "R²", r2, lowest=None, bar=0.0, undefined=_constant, draws=Draws(_OF_SQUARES, _r2)
    ),
    MetricSpec(
        "spearman", "Spearman correlation", spearman, lowest=-1.0, undefined=_constant,
        draws=Draws(rank_correlation, lambda found: found[:, 0]),
    ),
)  # fmt: skip
