"""Metrics of one class out of n.

Outcomes: `truth` int64 [rows], the index of the right class; `answer` int64 [rows], the index of the class
that was answered, -1 for an answer that is none of the classes (a model that was trained on other ones);
`outputs` float [rows, n], the probability of each class.
"""

from __future__ import annotations

from lakeloop.measures.base import MetricSpec, Outcomes

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
    import numpy as np

    right = found.outputs[np.arange(found.rows), found.truth]
    return float(-np.log(np.maximum(right, _LEAST_PROBABILITY)).mean())


CLASSIFICATION = (
    MetricSpec("macro_f1", "macro F1", macro_f1, bar=0.8),
    MetricSpec("accuracy", "accuracy", accuracy, bar=0.8, of_right_rows=True),
    MetricSpec("log_loss", "log loss", log_loss, better="lower", highest=None),
)
