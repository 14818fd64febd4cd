"""Scores of logits against labels, to choose an epoch by. The report on a model is `lakeloop.evaluation`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import f1_score
from torch.nn.functional import cross_entropy


@dataclass(frozen=True)
class Scores:
    macro_f1: float
    """Mean over the labels that occur; 0..1."""
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
    predicted = logits.argmax(axis=1)
    loss = cross_entropy(torch.from_numpy(logits).double(), torch.from_numpy(labels))
    return Scores(
        macro_f1=float(f1_score(labels, predicted, labels=np.unique(labels), average="macro")),
        accuracy=float((predicted == labels).mean()),
        loss=loss.item(),
    )
