"""Any number of n labels: a logit for each, binary cross-entropy, a logistic regression for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch.nn.functional import binary_cross_entropy_with_logits
from transformers import PreTrainedModel

from lakeloop.errors import ConfigurationError, DataError
from lakeloop.spec.tasks.base import parts_of
from lakeloop.tasks.base import OutputContract, Tokenised
from training.network import Network
from training.tasks.base import Inputs, Linear, RowWeights


class TrainingMultiLabel:
    """Targets are float32 [rows, n], 1 for a label that the row has; a loss is in nats, a mean of labels."""

    regularisations: ClassVar[tuple[float, ...]] = (0.3, 1.0, 3.0, 10.0, 30.0)
    """Values of C, the inverse of the strength."""

    def __init__(self, contract: OutputContract) -> None:
        self._labels, self._separator = contract.names, contract.separator

    def network(self, encoder: PreTrainedModel, features: int = 0) -> Network:
        return Network(encoder, len(self._labels), features)

    def targets(self, values: Sequence[Any], where: str) -> NDArray[Any]:
        index = {label: number for number, label in enumerate(self._labels)}
        table = np.zeros((len(values), len(index)), dtype=np.float32)
        unknown: set[str] = set()
        for row, value in enumerate(values):
            labels = parts_of(value or "", self._separator)
            unknown |= set(labels) - index.keys()
            table[row, [index[label] for label in labels if label in index]] = 1
        if unknown:
            expected, found = ", ".join(self._labels), ", ".join(map(repr, sorted(unknown)))
            raise DataError("unknown label", where=where, expected=expected, found=found)
        return table

    def align(self, values: Sequence[Any], read: Sequence[Tokenised]) -> tuple[NDArray[np.int64], ...]:
        raise NotImplementedError  # answers are of whole rows

    def require_learnable(self, targets: NDArray[Any], where: str) -> None:
        shares = targets.mean(axis=0)
        wrong = [f"{label} in {share:.0%}" for label, share in zip(self._labels, shares, strict=True)
                 if share in (0.0, 1.0)]  # fmt: skip
        if wrong:
            raise DataError(
                "labels that all or none of the training rows have cannot be learnt",
                where=where,
                expected="some rows with and some without each label",
                found=", ".join(wrong),
                remedy="wait for more data, or take the label out of task.labels",
            )

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return binary_cross_entropy_with_logits(outputs, targets.to(outputs.dtype))

    def losses(self, *_: torch.Tensor | float) -> torch.Tensor:
        raise ConfigurationError(
            "several answers at once are no classes", where="task.kind", found="multi_label"
        )

    def regularisation_of(self, strength: float) -> float:
        return 1 / strength

    def fit_linear(
        self, inputs: Inputs, targets: NDArray[Any], regularisation: float, weights: RowWeights | None = None
    ) -> Linear:
        rows, biases = [], []
        for label in targets.T:
            model = LogisticRegression(C=regularisation, max_iter=2000).fit(inputs, label > 0, weights)
            rows.append(model.coef_[0])
            biases.append(model.intercept_[0])
        return Linear(np.array(rows, dtype=np.float32), np.array(biases, dtype=np.float32))

    def ensemble(self, kind: str, size: int, seed: int) -> Any:  # noqa: ARG002 - `lakeloop check` refuses it
        raise ConfigurationError(
            f"{kind} cannot learn several labels at once",
            where="train.method.model",
            expected="linear",
            found=kind,
        )
