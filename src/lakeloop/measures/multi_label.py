"""Metrics of any number of n labels.

Outcomes: `truth` and `answer` bool [rows, n], whether the row has the label; `outputs` float [rows, n], the
probability of each.
"""

from __future__ import annotations

from lakeloop.measures.base import MetricSpec, Outcomes


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
    """Share of the rows whose labels are all found, and no other one."""
    return float((found.truth == found.answer).all(axis=1).mean())


def hamming_loss(found: Outcomes) -> float:
    """Share of all pairs of a row and a label that are wrong."""
    return float((found.truth != found.answer).mean())


MULTI_LABEL = (
    MetricSpec("micro_f1", "micro F1", micro_f1, bar=0.7),
    MetricSpec("macro_f1", "macro F1", macro_f1, bar=0.5),
    MetricSpec("exact_match", "exact match", exact_match, of_right_rows=True),
    MetricSpec("hamming_loss", "Hamming loss", hamming_loss, better="lower"),
)
