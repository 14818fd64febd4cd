"""Metrics of one class out of n.

Outcomes: `truth` int64 [rows], the index of the right class; `answer` int64 [rows], the index of the class
that was answered, -1 for an answer that is none of the classes (a model that was trained on other ones);
`outputs` float [rows, n], the probability of each class.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lakeloop.measures.base import Draws, MetricSpec, Outcomes
from lakeloop.measures.draws import mean_of, mean_score, most_rankings, ranking, sums_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LEAST_PROBABILITY = 1e-15
"""Smaller ones are taken for this in the log loss, which would be infinite at zero."""


def accuracy(found: Outcomes) -> float:
    """Share of the rows with the right answer."""
    return float((found.answer == found.truth).mean())


def macro_f1(found: Outcomes) -> float:
    """Mean F1 over the classes that occur in the rows or in the answers; 0..1.

    A class that occurs nowhere has no F1; counted as 0 it would punish a small test set.
    """
    import numpy as np

    size = found.outputs.shape[1]
    right = np.bincount(found.truth[found.truth == found.answer], minlength=size)
    known = found.answer[found.answer >= 0]
    claimed = np.bincount(found.truth, minlength=size) + np.bincount(known, minlength=size)
    return float((2 * right[claimed > 0] / claimed[claimed > 0]).mean())


def log_loss(found: Outcomes) -> float:
    """Mean of -ln(probability of the right class), nats."""
    return float(_log_losses(found).mean())


def weighted_f1(found: Outcomes) -> float:
    """Mean F1 over the classes, each weighed by its rows: frequent classes count more."""
    from sklearn.metrics import f1_score

    return float(f1_score(found.truth, found.answer, average="weighted", zero_division=0.0))


def mcc(found: Outcomes) -> float:
    """Correlation of classes and answers: 0 is what guessing reaches, 1 is all right.

    Matthews (1975), for n classes Gorodkin (2004); 0 where the answers do not vary.
    """
    from sklearn.metrics import matthews_corrcoef

    return float(matthews_corrcoef(found.truth, found.answer))


def roc_auc(found: Outcomes) -> float:
    """Chance that a row of a class gets more probability of it than a row of another, mean over the classes.

    Area under the ROC curve, one class against the rest; over the classes that rows have.
    """
    from sklearn.metrics import roc_auc_score

    truths, chances = _one_against_the_rest(found)
    there = truths.any(axis=0)
    return float(roc_auc_score(truths[:, there], chances[:, there], average="macro"))


def pr_auc(found: Outcomes) -> float:
    """Precision at every recall, mean over the classes: strict with rare classes, whose share a guess gets.

    Area under the curve of precision and recall as average precision, one class against the rest; over the
    classes that rows have.
    """
    from sklearn.metrics import average_precision_score

    truths, chances = _one_against_the_rest(found)
    there = truths.any(axis=0)
    return float(average_precision_score(truths[:, there], chances[:, there], average="macro"))


def brier(found: Outcomes) -> float:
    """Mean squared error of the probabilities: 0 is sure and right, 2 is sure and wrong.

    Brier (1950): summed over the classes.
    """
    return float(_squared(found).mean())


def calibration_error(found: Outcomes) -> float:
    """Mean distance of how sure the answers are from how often they are right (ECE).

    Guo et al. (2017): over 15 intervals of certainty of equal width, each weighed by its rows.
    """
    import numpy as np

    sure, right = certainty(found)
    gaps = np.bincount(_bins(sure), weights=sure - right, minlength=_BINS)
    return float(np.abs(gaps).sum() / found.rows)


_BINS = 15


def certainty(found: Outcomes) -> tuple[NDArray[Any], NDArray[Any]]:
    """Of each row the probability of its answer, and whether it is right, float64.

    The probability of an answer that is none of the classes is what these leave.
    """
    import numpy as np

    of_answer = found.outputs[np.arange(found.rows), found.answer]
    sure = np.where(found.answer >= 0, of_answer, 1 - found.outputs.sum(axis=1))
    return sure, (found.answer == found.truth).astype(np.float64)


def _bins(sure: NDArray[Any]) -> NDArray[Any]:
    import numpy as np

    bins: NDArray[Any] = np.clip(np.ceil(sure * _BINS).astype(np.int64) - 1, 0, _BINS - 1)
    return bins


def _log_losses(found: Outcomes) -> NDArray[Any]:
    import numpy as np

    right = found.outputs[np.arange(found.rows), found.truth]
    losses: NDArray[Any] = -np.log(np.maximum(right, _LEAST_PROBABILITY))
    return losses


def _squared(found: Outcomes) -> NDArray[Any]:
    truths, chances = _one_against_the_rest(found)
    squared: NDArray[Any] = ((chances - truths) ** 2).sum(axis=1)
    return squared


def _one_against_the_rest(found: Outcomes) -> tuple[NDArray[Any], NDArray[Any]]:
    """Bool [rows, n], whether a row is of the class, and float [rows, n], the probability of it."""
    import numpy as np

    return found.truth[:, None] == np.arange(found.outputs.shape[1]), found.outputs


def _one_class(found: Outcomes) -> str:
    several = (found.truth != found.truth[:1]).any()
    return "" if several else "all rows have one right answer, there is nothing to tell apart"


def _counts(found: Outcomes) -> NDArray[Any]:
    """Of each row, for each class: is it, is it answered, both. Sparse float64 [rows, 3 n]."""
    import numpy as np
    from scipy.sparse import csr_array

    size, rows = found.outputs.shape[1], np.arange(found.rows)
    known, right = found.answer >= 0, found.answer == found.truth
    row = np.concatenate([rows, rows[known], rows[right]])
    column = np.concatenate([found.truth, found.answer[known] + size, found.truth[right] + 2 * size])
    counts: NDArray[Any] = csr_array((np.ones(len(row)), (row, column)), shape=(found.rows, 3 * size))
    return counts


def _truth_and_answer(found: Outcomes) -> NDArray[Any]:
    """Of each row a number for its right answer and the one it got."""
    numbers: NDArray[Any] = found.truth * (found.outputs.shape[1] + 1) + found.answer + 1
    return numbers


def _in_three(sums: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    size = sums.shape[1] // 3
    return sums[:, :size], sums[:, size : 2 * size], sums[:, 2 * size :]


def _f1_of(sums: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """F1 of each class in each draw, 0 where it is nowhere, and how often it is in the rows or answers."""
    import numpy as np

    truth, answer, right = _in_three(sums)
    return 2 * right / np.maximum(truth + answer, 1), truth + answer


def _macro_f1(sums: NDArray[Any]) -> NDArray[Any]:
    f1, there = _f1_of(sums)
    mean: NDArray[Any] = f1.sum(axis=1) / (there > 0).sum(axis=1)
    return mean


def _weighted_f1(sums: NDArray[Any]) -> NDArray[Any]:
    f1, truth = _f1_of(sums)[0], _in_three(sums)[0]
    mean: NDArray[Any] = (f1 * truth).sum(axis=1) / truth.sum(axis=1)
    return mean


def _mcc(sums: NDArray[Any]) -> NDArray[Any]:
    import numpy as np

    truth, answer, right = _in_three(sums)
    rows = truth.sum(axis=1)
    other = rows - answer.sum(axis=1)  # answers that are none of the classes
    together = right.sum(axis=1) * rows - (truth * answer).sum(axis=1)
    spread = rows**2 - (answer**2).sum(axis=1) - other**2, rows**2 - (truth**2).sum(axis=1)
    product = np.sqrt(spread[0] * spread[1])
    return np.where(product > 0, together / np.where(product > 0, product, 1), 0.0)


def _gaps(found: Outcomes) -> NDArray[Any]:
    """Of each row: 1, and in its interval of certainty how much surer it is than right."""
    import numpy as np

    sure, right = certainty(found)
    table = np.zeros((found.rows, _BINS + 1))
    table[:, 0], table[np.arange(found.rows), _bins(sure) + 1] = 1, sure - right
    return table


def _calibration_error(sums: NDArray[Any]) -> NDArray[Any]:
    error: NDArray[Any] = abs(sums[:, 1:]).sum(axis=1) / sums[:, 0]
    return error


_OF_COUNTS = sums_of(_counts)


def _of_counts(score: Callable[[NDArray[Any]], NDArray[Any]]) -> Draws:
    return Draws(_OF_COUNTS, score, alike=_truth_and_answer)


_OF_RANKS = ranking(_one_against_the_rest)
CLASSIFICATION = (
    MetricSpec("macro_f1", "macro F1", macro_f1, bar=0.8, draws=_of_counts(_macro_f1)),
    MetricSpec(
        "accuracy", "accuracy", accuracy, bar=0.8, of_right_rows=True,
        draws=Draws(mean_of(lambda found: found.answer == found.truth), mean_score),
    ),
    MetricSpec(
        "log_loss", "log loss", log_loss, better="lower", highest=None, unit="nats",
        draws=Draws(mean_of(_log_losses), mean_score),
    ),
    MetricSpec(
        "weighted_f1", "weighted F1", weighted_f1, evaluation_only=True, draws=_of_counts(_weighted_f1)
    ),
    MetricSpec(
        "mcc", "Matthews correlation", mcc, lowest=-1.0, evaluation_only=True, undefined=_one_class,
        draws=_of_counts(_mcc),
    ),
    MetricSpec(
        "roc_auc", "ROC AUC", roc_auc, evaluation_only=True, undefined=_one_class,
        draws=Draws(_OF_RANKS, lambda found: found[:, 0], most_rankings),
    ),
    MetricSpec(
        "pr_auc", "PR AUC", pr_auc, evaluation_only=True, undefined=_one_class,
        draws=Draws(_OF_RANKS, lambda found: found[:, 1], most_rankings),
    ),
    MetricSpec(
        "brier", "Brier score", brier, better="lower", highest=2.0, evaluation_only=True,
        draws=Draws(mean_of(_squared), mean_score),
    ),
    MetricSpec(
        "calibration_error", "calibration error", calibration_error, better="lower", evaluation_only=True,
        draws=Draws(sums_of(_gaps), _calibration_error),
    ),
)  # fmt: skip
