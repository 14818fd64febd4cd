"""Scores of logits against labels, to choose an epoch by. The report on a model is `lakeloop.evaluation`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy


@dataclass(frozen=True)
class Scores:
    macro_f1: float
    """Mean F1 over the labels that occur in the rows or in the answers; 0..1."""
    accuracy: float
    loss: float
    """Mean cross-entropy, nats."""

    @property
    def rank(self) -> tuple[float, float]:
        """What is compared: a few hundred rows often tie on the score, and then the loss knows better."""
        return (self.macro_f1, -self.loss)

    def as_dict(self) -> dict[str, float]:
        return {"macro_f1": self.macro_f1, "accuracy": self.accuracy, "loss": self.loss}


def score(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> Scores:
    """Scores of logits [rows, labels]."""
    predicted, size = logits.argmax(axis=1), logits.shape[1]
    # Four lines instead of scikit-learn, which takes longer to import than a small fine-tune to validate.
    right = np.bincount(labels[labels == predicted], minlength=size)
    claimed = np.bincount(labels, minlength=size) + np.bincount(predicted, minlength=size)
    f1 = 2 * right[claimed > 0] / claimed[claimed > 0]
    loss = cross_entropy(torch.from_numpy(logits).double(), torch.from_numpy(labels))
    return Scores(
        macro_f1=float(f1.mean()),
        accuracy=float((predicted == labels).mean()),
        loss=loss.item(),
    )
