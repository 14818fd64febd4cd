"""One number: the network gives it around 0 and of size 1, squared error, ridge regression."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import Ridge
from torch.nn.functional import mse_loss
from transformers import PreTrainedModel

from lakeloop.errors import ConfigurationError, DataError
from lakeloop.tasks.base import OutputContract, Tokenised
from training.network import Network
from training.tasks.base import TREE, Inputs, Linear, RowWeights


class TrainingRegression:
    """Targets are float32, (value - offset) / scale of the contract; a loss has no unit."""

    regularisations: ClassVar[tuple[float, ...]] = (1000.0, 100.0, 10.0, 1.0, 0.1)
    """Values of alpha, the weight of the squared coefficients."""

    def __init__(self, contract: OutputContract) -> None:
        self._offset, self._scale = contract.offset, contract.scale

    def network(self, encoder: PreTrainedModel, features: int = 0) -> Network:
        return Network(encoder, 1, features)

    def targets(self, values: Sequence[Any], where: str) -> NDArray[Any]:
        numbers = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
        if wrong := int((~np.isfinite(numbers)).sum()):
            raise DataError(
                f"{wrong} row(s) without a finite number", where=where, expected="a number in each row"
            )
        return ((numbers - self._offset) / self._scale).astype(np.float32)

    def align(self, values: Sequence[Any], read: Sequence[Tokenised]) -> tuple[NDArray[np.int64], ...]:
        raise NotImplementedError  # answers are of whole rows

    def require_learnable(self, targets: NDArray[Any], where: str) -> None:
        if targets.min() == targets.max():
            raise DataError(
                "nothing to learn: the training rows have one value",
                where=where,
                expected="at least two values",
                remedy="wait for more data, or lower split.validation and split.test",
            )

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return mse_loss(outputs[:, 0], targets.to(outputs.dtype))

    def losses(self, *_: torch.Tensor | float) -> torch.Tensor:
        raise ConfigurationError("numbers are no classes", where="task.kind", found="regression")

    def regularisation_of(self, strength: float) -> float:
        return strength

    def fit_linear(
        self, inputs: Inputs, targets: NDArray[Any], regularisation: float, weights: RowWeights | None = None
    ) -> Linear:
        # In float64: the solver squares the inputs.
        model = Ridge(alpha=regularisation, solver="sparse_cg" if issparse(inputs) else "cholesky")
        model.fit(inputs.astype(np.float64), targets.astype(np.float64), weights)
        weight = model.coef_.astype(np.float32).reshape(1, -1)
        return Linear(weight, np.array([model.intercept_], dtype=np.float32))

    def ensemble(self, kind: str, size: int, seed: int) -> Any:
        if kind == "forest":
            return RandomForestRegressor(size, **TREE, n_jobs=1, random_state=seed)
        return HistGradientBoostingRegressor(max_iter=size, early_stopping=False, random_state=seed)
