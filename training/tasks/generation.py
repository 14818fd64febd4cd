"""Texts that are written: the loss of right answers is that of their tokens, and the network's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from lakeloop.errors import DataError
from lakeloop.tasks.base import OutputContract, Tokenised
from training.network import Network
from training.tasks.base import Inputs, Linear, RowWeights

_NO_LAST_LAYER = "a language model has no last layer of ours"


class TrainingGeneration:
    """Targets are texts; `training.generation` makes tokens of them, and a network of a language model."""

    regularisations: ClassVar[tuple[float, ...]] = ()

    def __init__(self, contract: OutputContract) -> None:
        """Nothing of the contract is needed."""

    def network(self, encoder: PreTrainedModel, features: int = 0) -> Network:
        raise NotImplementedError(_NO_LAST_LAYER)

    def targets(self, values: Sequence[Any], where: str) -> NDArray[Any]:
        if empty := sum(not str(value or "").strip() for value in values):
            raise DataError(f"{empty} row(s) without an answer", where=where, expected="a text in each row")
        table = np.empty(len(values), dtype=object)
        table[:] = list(values)
        return table

    def align(self, values: Sequence[Any], read: Sequence[Tokenised]) -> tuple[NDArray[np.int64], ...]:
        raise NotImplementedError(_NO_LAST_LAYER)

    def require_learnable(self, targets: NDArray[Any], where: str) -> None:
        if len(set(targets.tolist())) < 2:
            raise DataError(
                "nothing to learn: all training rows have one answer",
                where=where,
                expected="at least two different answers",
                remedy="wait for more data, or lower split.validation and split.test",
            )

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
        """Mean over rows of the mean loss of their answers' tokens; `outputs` are those of `Writer`.

        A mean of rows, so that a batch in parts gives the gradients of the whole.
        """
        return (outputs[:, 0] / outputs[:, 1].clamp(min=1.0)).mean()

    def losses(self, *_: torch.Tensor | float) -> torch.Tensor:
        raise NotImplementedError(_NO_LAST_LAYER)

    def regularisation_of(self, strength: float) -> float:
        raise NotImplementedError(_NO_LAST_LAYER)

    def fit_linear(
        self, inputs: Inputs, targets: NDArray[Any], regularisation: float, weights: RowWeights | None = None
    ) -> Linear:
        raise NotImplementedError(_NO_LAST_LAYER)

    def ensemble(self, kind: str, size: int, seed: int) -> Any:
        raise NotImplementedError(_NO_LAST_LAYER)
