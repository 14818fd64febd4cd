"""What is learnt of which rows: smoothed answers, weights of classes, rows drawn so that classes are even."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lakeloop.errors import ConfigurationError
from lakeloop.spec.extras import OFF, Teacher
from lakeloop.spec.train import Train
from training.extras.distil import Loss, distilled, with_answers
from training.tasks.base import RowWeights, TrainingTask


@dataclass(frozen=True)
class Objective:
    """What is learnt."""

    targets: NDArray[Any]
    """What of a training row is compared with outputs, [rows] or [rows, ...]."""
    loss: Loss


def objective_of(
    task: TrainingTask,
    train: Train,
    names: Sequence[str],
    targets: NDArray[Any],
    taught: Callable[[], NDArray[np.float32]],
) -> Objective:
    """What is learnt from training rows with these `targets`; `names` are those of the classes.

    `taught` gives a teacher's chances of each class, float32 [rows, classes].
    """
    loss = _loss_of(task, train, names, targets)
    if isinstance(train.distil, Teacher):
        share, temperature = train.distil.share, train.distil.temperature
        return Objective(with_answers(targets, taught()), distilled(loss, share, temperature))
    return Objective(targets, loss)


def _loss_of(task: TrainingTask, train: Train, names: Sequence[str], targets: NDArray[Any]) -> Loss:
    if train.class_weights == OFF and not train.label_smoothing:
        return task.loss
    losses, smoothing = task.losses, train.label_smoothing
    if train.class_weights == OFF:
        return lambda outputs, right: losses(outputs, right, smoothing).mean()
    weights = torch.from_numpy(class_weights(train.class_weights, names, targets))

    def weighted(outputs: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        nonlocal weights
        weights = weights.to(outputs.device)  # once: a recorded step copies nothing from the CPU
        # The mean over the rows, and not over the weights: parts of a batch are added up by their rows.
        return (losses(outputs, right, smoothing) * weights[right]).mean()

    return weighted


def class_weights(
    said: str | Mapping[str, float], names: Sequence[str], targets: NDArray[np.int64]
) -> NDArray[np.float32]:
    """The weight of each class, [classes]; over the rows with these `targets` their mean is 1."""
    counts = np.bincount(targets, minlength=len(names)).astype(np.float64)
    if isinstance(said, str):
        weights = 1 / np.maximum(counts, 1)
    else:
        weights = np.array([said.get(name, 1.0) for name in names])
    return (weights * len(targets) / (weights @ counts)).astype(np.float32)


def row_weights(train: Train, names: Sequence[str], targets: NDArray[np.int64]) -> RowWeights | None:
    """How much each row with these `targets` counts in a fit without steps, [rows]; None: all the same."""
    if train.class_weights == OFF:
        return None
    return class_weights(train.class_weights, names, targets)[targets].astype(np.float64)


def even_rows(targets: NDArray[np.int64], *, seed: int, epoch: int) -> NDArray[np.int64]:
    """As many row numbers as there are `targets`, drawn by seed and epoch, each class as often."""
    chances = class_weights("balanced", [""] * (int(targets.max()) + 1), targets)[targets].astype(np.float64)
    random = np.random.default_rng((seed, epoch, 1))
    rows: NDArray[np.int64] = random.choice(len(targets), size=len(targets), p=chances / chances.sum())
    return rows


def set_dropout(encoder: torch.nn.Module, share: float | None, base_model: str) -> None:
    """Let layers of `encoder` drop that share of their values in training; None: what they have.

    Raises:
        ConfigurationError: none of its layers drops any.
    """
    if share is None:
        return
    layers = [module for module in encoder.modules() if isinstance(module, torch.nn.Dropout)]
    if not layers:
        raise ConfigurationError(
            "the base model has no dropout",
            where="train.dropout",
            expected="a base model with layers that drop values in training",
            found=base_model,
            remedy="leave it out",
        )
    for layer in layers:
        layer.p = share
