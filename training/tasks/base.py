"""The seam between the training of a network and what it is trained for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch import nn
from transformers import PreTrainedModel

from lakeloop.tasks.base import Tokenised
from training.network import Network

Inputs: TypeAlias = NDArray[np.float32] | csr_matrix
"""What a model of scikit-learn is fitted on, [rows, columns]; sparse where most of it is zero."""

RowWeights: TypeAlias = NDArray[np.float64]
"""How much each row of a fit counts, [rows], 1 on average."""

ENSEMBLES = ("forest", "boosting")
TREE = {"max_depth": 16, "max_leaf_nodes": 512}
"""How far a tree of a forest grows: its leaves are kept in the artifact, a number for each output."""


@dataclass(frozen=True)
class Linear:
    """A linear map, fitted without gradients: weight float32 [width, hidden], bias float32 [width]."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]

    def of(self, inputs: Inputs) -> NDArray[np.float32]:
        """Its outputs, float32 [rows, width], for `inputs` [rows, hidden]."""
        outputs: NDArray[np.float32] = inputs @ self.weight.T + self.bias
        return outputs

    def put_into(self, layer: nn.Linear) -> None:
        """Copy weight and bias into `layer`, which has the same shape."""
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(self.weight))
            layer.bias.copy_(torch.from_numpy(self.bias))


class TrainingTask(Protocol):
    """The torch side of one kind of task. Made from the network's contract by `registry.training_task`."""

    regularisations: ClassVar[tuple[float, ...]]
    """Values that `fit_linear` is tried with, the strongest regularisation first."""

    def network(self, encoder: PreTrainedModel, features: int = 0) -> Network:
        """`encoder` with a last layer that makes what the contract says, of text and `features` numbers."""

    def targets(self, values: Sequence[Any], where: str) -> NDArray[Any]:
        """Right answers as `loss` takes them, [rows]; `values` are those of the target's column.

        Raises:
            DataError: a value is missing, or is none that the task knows; names the file `where`.
        """

    def align(self, values: Sequence[Any], read: Sequence[Tokenised]) -> tuple[NDArray[np.int64], ...]:
        """Of a task with outputs for each token: the right answer of each token of each text."""

    def require_learnable(self, targets: NDArray[Any], where: str) -> None:
        """Raises DataError when the training rows do not hold all that has to be learnt."""

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Mean loss of `outputs` [rows, width] against `targets` [rows], a scalar; of tokens, behind rows."""

    def losses(self, outputs: torch.Tensor, targets: torch.Tensor, smoothing: float) -> torch.Tensor:
        """The same of each row, [rows], where answers are classes; `smoothing` is spread over all of them.

        Raises:
            ConfigurationError: answers are no classes.
        """

    def regularisation_of(self, strength: float) -> float:
        """What `fit_linear` takes for a strength in a loop file: the larger, the smaller the weights."""

    def fit_linear(
        self, inputs: Inputs, targets: NDArray[Any], regularisation: float, weights: RowWeights | None = None
    ) -> Linear:
        """The best linear map of `inputs` [rows, hidden]; draws nothing: the same rows, the same weights.

        `weights` say how much each row counts, None: all the same.
        """

    def ensemble(self, kind: str, size: int, seed: int) -> Any:
        """An estimator of scikit-learn with `size` trees, or rounds of them; `kind` is one of `ENSEMBLES`."""
