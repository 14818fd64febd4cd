"""Metrics of any number of n labels.

Outcomes: `truth` and `answer` bool [rows, n], whether the row has the label; `outputs` float [rows, n], the
probability of each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lakeloop.measures.base import Draws, MetricSpec, Outcomes
from lakeloop.measures.draws import mean_of, mean_score, most_rankings, ranking, sums_of

if TYPE_CHECKING:
    from numpy.typing import NDArray


def micro_f1(found: Outcomes) -> float:
    """F1 over all pairs of a row and a label, 0..1; 1 where there is none to find and none is answered."""
    right = float((found.truth & found.answer).sum())
    claimed = float(found.truth.sum() + found.answer.sum())
    return 2 * right / claimed if claimed else 1.0


def macro_f1(found: Outcomes) -> float:
    """Mean F1 over the labels that occur in the rows or in the answers, 0..1; 1 where none does."""
    right = (found.truth & found.answer).sum(axis=0)
    claimed = found.truth.sum(axis=0) + found.answer.sum(axis=0)
    present = claimed > 0
    return float((2 * right[present] / claimed[present]).mean()) if present.any() else 1.0


def exact_match(found: Outcomes) -> float:
    """Share of the rows whose labels are all found, and no other one: subset accuracy."""
    return float((found.truth == found.answer).all(axis=1).mean())


def hamming_loss(found: Outcomes) -> float:
    """Share of all pairs of a row and a label that are wrong."""
    return float((found.truth != found.answer).mean())


def mean_average_precision(found: Outcomes) -> float:
    """Precision at every recall by the probabilities, mean over the labels: no threshold decides it.

    Average precision of each label that rows have.
    """
    from sklearn.metrics import average_precision_score

    there = found.truth.any(axis=0)
    return float(average_precision_score(found.truth[:, there], found.outputs[:, there], average="macro"))


def certainty(found: Outcomes) -> tuple[NDArray[Any], NDArray[Any]]:
    """Of each pair of a row and a label its probability, and whether the row has it, float64 [rows x n]."""
    import numpy as np

    return found.outputs.ravel(), found.truth.ravel().astype(np.float64)


def _no_label(found: Outcomes) -> str:
    return "" if found.truth.any() else "no row has a label, there is nothing to find"


def _counts(found: Outcomes) -> NDArray[Any]:
    """Of each row, for each label: is it there or answered, 0 to 2, and is it both. Float32 [rows, 2 n]."""
    import numpy as np

    truth, answer = found.truth.astype(np.float32), found.answer.astype(np.float32)
    return np.concatenate([truth + answer, truth * answer], axis=1)


def _micro_f1(sums: NDArray[Any]) -> NDArray[Any]:
    import numpy as np

    claimed, right = (half.sum(axis=1) for half in np.split(sums, 2, axis=1))
    return np.where(claimed > 0, 2 * right / np.maximum(claimed, 1), 1.0)


def _macro_f1(sums: NDArray[Any]) -> NDArray[Any]:
    import numpy as np

    claimed, right = np.split(sums, 2, axis=1)
    there = (claimed > 0).sum(axis=1)
    mean = (2 * right / np.maximum(claimed, 1)).sum(axis=1) / np.maximum(there, 1)
    return np.where(there > 0, mean, 1.0)


_OF_COUNTS = sums_of(_counts)
MULTI_LABEL = (
    MetricSpec("micro_f1", "micro F1", micro_f1, bar=0.7, draws=Draws(_OF_COUNTS, _micro_f1)),
    MetricSpec("macro_f1", "macro F1", macro_f1, bar=0.5, draws=Draws(_OF_COUNTS, _macro_f1)),
    MetricSpec(
        "exact_match", "exact match", exact_match, of_right_rows=True,
        draws=Draws(mean_of(lambda found: (found.truth == found.answer).all(axis=1)), mean_score),
    ),
    MetricSpec(
        "hamming_loss", "Hamming loss", hamming_loss, better="lower",
        draws=Draws(mean_of(lambda found: (found.truth != found.answer).mean(axis=1)), mean_score),
    ),
    MetricSpec(
        "mean_average_precision", "mean average precision", mean_average_precision, evaluation_only=True,
        undefined=_no_label,
        draws=Draws(
            ranking(lambda found: (found.truth, found.outputs)), lambda found: found[:, 1], most_rankings
        ),
    ),
)  # fmt: skip
