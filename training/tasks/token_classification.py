"""A tag for each word: a logit for each tag at the first token of a word, cross-entropy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from lakeloop.errors import ConfigurationError, DataError
from lakeloop.tasks.base import OutputContract, Tokenised
from training.data import NO_TARGET
from training.network import Network, TaggingNetwork
from training.tasks.base import Inputs, Linear, RowWeights


class TrainingTokenClassification:
    """Targets of tokens are int64 indices into the contract's tags; a loss is in nats, a mean of words."""

    regularisations: ClassVar[tuple[float, ...]] = (0.3, 3.0, 30.0)
    """Values of C, the inverse of the strength."""

    def __init__(self, contract: OutputContract) -> None:
        self._index = {tag: number for number, tag in enumerate(contract.names)}

    def network(self, encoder: PreTrainedModel, features: int = 0) -> Network:
        return TaggingNetwork(encoder, len(self._index), features)

    def targets(self, values: Sequence[Any], where: str) -> NDArray[Any]:
        """Stretches of each row as they are; `align` makes targets of them."""
        if unknown := {kind for row in values for *_, kind in row if f"B-{kind}" not in self._index}:
            known = ", ".join(sorted({tag[2:] for tag in self._index if "-" in tag}))
            found = ", ".join(sorted(unknown))
            raise DataError("unknown kind of stretch", where=where, expected=known, found=found)
        table = np.empty(len(values), dtype=object)
        table[:] = list(values)
        return table

    def align(self, values: Sequence[Any], read: Sequence[Tokenised]) -> tuple[NDArray[np.int64], ...]:
        return tuple(self._aligned(row, text) for row, text in zip(values, read, strict=True))

    def _aligned(self, stretches: Sequence[Any], read: Tokenised) -> NDArray[np.int64]:
        """Tags of the first tokens of words: of the stretch that the token stands in, B where it begins."""
        starts, words = read.offsets[:, 0], read.words
        first = (words >= 0) & (words != np.concatenate([[-1], words[:-1]]))
        tags = np.where(first, 0, NO_TARGET)
        for start, end, kind in stretches:
            inside = first & (starts >= start) & (starts < end)
            tags[inside] = self._index[f"I-{kind}"]
            tags[np.flatnonzero(inside)[:1]] = self._index[f"B-{kind}"]
        return tags.astype(np.int64)

    def require_learnable(self, targets: NDArray[Any], where: str) -> None:
        there = {f"B-{kind}" for row in targets for *_, kind in row}
        if missing := sorted(tag[2:] for tag in self._index if tag[:2] == "B-" and tag not in there):
            raise DataError(
                f"no training row for {', '.join(missing)}",
                where=where,
                expected="at least one stretch of each kind",
                remedy="wait for more data, or take the kind out of task.labels",
            )

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """A mean over the tokens that have a right answer: [rows, tokens, width] against [rows, tokens]."""
        return cross_entropy(outputs.flatten(0, 1), targets.flatten(), ignore_index=NO_TARGET)

    def losses(self, *_: torch.Tensor | float) -> torch.Tensor:
        raise ConfigurationError(
            "answers for tokens are no classes of rows", where="task.kind", found="token_classification"
        )

    def regularisation_of(self, strength: float) -> float:
        return 1 / strength

    def fit_linear(
        self, inputs: Inputs, targets: NDArray[Any], regularisation: float, weights: RowWeights | None = None
    ) -> Linear:
        model = LogisticRegression(C=regularisation, max_iter=1000).fit(inputs, targets, weights)
        weight = np.zeros((len(self._index), inputs.shape[1]), dtype=np.float32)
        # A tag that no training row has is as good as impossible.
        bias = np.full(len(self._index), -100.0, dtype=np.float32)
        rows = model.coef_ if len(model.classes_) > 2 else np.vstack([-model.coef_ / 2, model.coef_ / 2])
        ends = (
            model.intercept_
            if len(model.classes_) > 2
            else np.concatenate([-model.intercept_ / 2, model.intercept_ / 2])
        )
        weight[model.classes_], bias[model.classes_] = rows, ends
        return Linear(weight, bias)

    def ensemble(self, kind: str, size: int, seed: int) -> Any:  # noqa: ARG002 - `lakeloop check` refuses it
        raise ConfigurationError(
            "trees learn one answer for each row",
            where="train.method.model",
            expected="a network",
            found=kind,
        )
