"""The linear head fitted on fixed embeddings: all of the baseline, and where a fine-tune starts from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import nn

from training.scores import Scores, score

REGULARISATION = (0.3, 1.0, 3.0, 10.0, 30.0)
"""Values of C (inverse strength) that are tried, the strongest regularisation first."""


@dataclass(frozen=True)
class Head:
    """weight float32 [labels, hidden], bias float32 [labels]."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    regularisation: float
    validation: Scores

    def put_into(self, linear: nn.Linear) -> None:
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(self.weight))
            linear.bias.copy_(torch.from_numpy(self.bias))


def fit_head(
    embeddings: NDArray[np.float32],
    labels: NDArray[np.int64],
    validation_embeddings: NDArray[np.float32],
    validation_labels: NDArray[np.int64],
    choices: Sequence[float] = REGULARISATION,
) -> Head:
    """Logistic regression for each C of `choices`; the one with the smallest loss on validation.

    By the loss, because a few hundred rows seldom tell heads apart by macro-F1, and by its probabilities the
    head is used. Embeddings are float32 [rows, hidden]; every label 0..n-1 must occur in `labels`.
    """
    heads = [_fit(embeddings, labels, validation_embeddings, validation_labels, c) for c in choices]
    return min(heads, key=lambda head: head.validation.loss)


def _fit(
    embeddings: NDArray[np.float32],
    labels: NDArray[np.int64],
    validation_embeddings: NDArray[np.float32],
    validation_labels: NDArray[np.int64],
    c: float,
) -> Head:
    # lbfgs starts at zero and draws nothing: the same rows give the same weights.
    model = LogisticRegression(C=c, max_iter=2000).fit(embeddings, labels)
    weight = model.coef_.astype(np.float32)
    bias = model.intercept_.astype(np.float32)
    if len(weight) == 1:
        # Of two labels scikit-learn keeps one row, the log-odds of the second; softmax wants both.
        weight, bias = np.vstack([-weight / 2, weight / 2]), np.concatenate([-bias / 2, bias / 2])
    logits = validation_embeddings @ weight.T + bias
    return Head(weight, bias, c, score(logits, validation_labels))
