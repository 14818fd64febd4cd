"""Scores of predictions against labels. What predicts is `predict`; what is good enough is the gate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, precision_recall_fscore_support

_LEAST_PROBABILITY = 1e-15
"""Smaller ones are taken for this in the log loss, which would be infinite at zero."""


@dataclass(frozen=True)
class LabelScores:
    """How well one label is found; shares 0..1."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int
    """Rows that have this label."""


@dataclass(frozen=True)
class Scores:
    """All scores of one model on one set of rows."""

    rows: int
    accuracy: float
    macro_f1: float
    """Mean F1 over the labels that occur in the rows or in the answers."""
    log_loss: float
    """Mean of -ln(probability of the right label)."""
    labels: tuple[LabelScores, ...]
    confusion: tuple[tuple[int, ...], ...]
    """Row: the right label; column: the answer; both in the order of `labels`, then, when there are any,
    one more column of answers that are no known label."""

    def named(self) -> dict[str, float]:
        """The overall scores under the names of `catalogue.METRICS`."""
        return {"accuracy": self.accuracy, "macro_f1": self.macro_f1, "log_loss": self.log_loss}


def compute_scores(
    labels: Sequence[str],
    actual: Sequence[str],
    predicted: Sequence[str],
    probabilities: Sequence[Mapping[str, float]],
) -> Scores:
    """Score `predicted` against `actual`, row by row.

    `probabilities[i]` gives each label of the model its probability; a label that a model does not know
    has probability 0. `actual` holds known labels only; `predicted` may hold others (a champion that was
    trained on other labels), which are wrong.

    Raises:
        ValueError: no rows, or not equally many in each argument.
    """
    if not actual or not len(actual) == len(predicted) == len(probabilities):
        found = f"{len(actual)} actual, {len(predicted)} predicted, {len(probabilities)} with probabilities"
        raise ValueError(f"cannot score these rows: {found}")
    precision, recall, f1, support = precision_recall_fscore_support(
        actual, predicted, labels=list(labels), zero_division=0.0
    )
    # A label that occurs nowhere has no F1; counted as 0 it would punish a small test set.
    seen = [label for label in labels if label in {*actual, *predicted}]
    right = [scores.get(label, 0.0) for label, scores in zip(actual, probabilities, strict=True)]
    return Scores(
        rows=len(actual),
        accuracy=float(accuracy_score(actual, predicted)),
        macro_f1=float(f1_score(actual, predicted, labels=seen, average="macro", zero_division=0.0)),
        log_loss=float(-np.log(np.maximum(right, _LEAST_PROBABILITY)).mean()),
        labels=tuple(
            LabelScores(label, float(p), float(r), float(f), int(n))
            for label, p, r, f, n in zip(labels, precision, recall, f1, support, strict=True)
        ),
        confusion=_confusion(labels, actual, predicted),
    )


def _confusion(
    labels: Sequence[str], actual: Sequence[str], predicted: Sequence[str]
) -> tuple[tuple[int, ...], ...]:
    unknown = sorted(set(predicted) - set(labels))
    matrix = confusion_matrix(actual, predicted, labels=[*labels, *unknown])[: len(labels)]
    known = matrix[:, : len(labels)]
    if unknown:
        known = np.column_stack([known, matrix[:, len(labels) :].sum(axis=1)])
    return tuple(tuple(int(count) for count in row) for row in known)
