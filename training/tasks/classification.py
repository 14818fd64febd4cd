"""One of n labels: a logit for each, cross-entropy, logistic regression."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from lakeloop.errors import DataError
from lakeloop.tasks.base import OutputContract, Tokenised
from training.network import Network
from training.tasks.base import TREE, Inputs, Linear, RowWeights


class TrainingClassification:
    """Targets are int64 indices into the contract's names; a loss is in nats."""

    regularisations: ClassVar[tuple[float, ...]] = (0.3, 1.0, 3.0, 10.0, 30.0)
    """Values of C, the inverse of the strength."""

    def __init__(self, contract: OutputContract) -> None:
        self._labels = contract.names

    def network(self, encoder: PreTrainedModel, features: int = 0) -> Network:
        return Network(encoder, len(self._labels), features)

    def targets(self, values: Sequence[Any], where: str) -> NDArray[Any]:
        index = {label: number for number, label in enumerate(self._labels)}
        if unknown := sorted({repr(value) for value in values if value not in index}):
            raise DataError(
                "unknown label", where=where, expected=", ".join(self._labels), found=", ".join(unknown)
            )
        return np.array([index[value] for value in values], dtype=np.int64)

    def align(self, values: Sequence[Any], read: Sequence[Tokenised]) -> tuple[NDArray[np.int64], ...]:
        raise NotImplementedError  # answers are of whole rows

    def require_learnable(self, targets: NDArray[Any], where: str) -> None:
        present = set(targets.tolist())
        if missing := [label for number, label in enumerate(self._labels) if number not in present]:
            raise DataError(
                f"no training row for {', '.join(missing)}",
                where=where,
                expected=f"at least one row of each of {len(self._labels)} labels",
                remedy="wait for more data, or take the label out of task.labels",
            )

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return cross_entropy(outputs, targets)

    def losses(self, outputs: torch.Tensor, targets: torch.Tensor, smoothing: float) -> torch.Tensor:
        return cross_entropy(outputs, targets, reduction="none", label_smoothing=smoothing)

    def regularisation_of(self, strength: float) -> float:
        return 1 / strength

    def fit_linear(
        self, inputs: Inputs, targets: NDArray[Any], regularisation: float, weights: RowWeights | None = None
    ) -> Linear:
        # lbfgs starts at zero and draws nothing.
        model = LogisticRegression(C=regularisation, max_iter=2000).fit(inputs, targets, weights)
        weight = model.coef_.astype(np.float32)
        bias = model.intercept_.astype(np.float32)
        if len(weight) == 1:
            # Of two labels scikit-learn keeps one row, the log-odds of the second; softmax wants both.
            weight, bias = np.vstack([-weight / 2, weight / 2]), np.concatenate([-bias / 2, bias / 2])
        return Linear(weight, bias)

    def ensemble(self, kind: str, size: int, seed: int) -> Any:
        if kind == "forest":
            return RandomForestClassifier(size, **TREE, n_jobs=1, random_state=seed)
        return HistGradientBoostingClassifier(max_iter=size, early_stopping=False, random_state=seed)
