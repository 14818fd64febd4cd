"""The seams of a method: from a job to a trained network, and which weights are moved on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from torch import nn

from training.job import Job, Trained
from training.network import Network
from training.tasks.base import TrainingTask
from training.validation import Scores


class Method(Protocol):
    """One way to train. Made from its section of the loop file by `registry.method_of`."""

    def train(self, job: Job, task: TrainingTask) -> Trained:
        """Train a network for `task` on the rows of `job`.

        Raises:
            ConfigurationError: the method does not fit the base model, or its settings do not.
        """


@runtime_checkable
class ManyTrials(Method, Protocol):
    """A method whose trials are scored many to a process: what they read is made once."""

    def shared(self, job: Job, task: TrainingTask) -> Any:
        """What all trials that differ in keys of the method alone read."""

    def score(self, job: Job, task: TrainingTask, shared: Any) -> Scores:
        """How this one does on the validation rows; the model itself is of no use yet."""


def train_all(network: Network) -> None:
    """The usual way into training: dropout everywhere."""
    network.train()


class Beside(Protocol):
    """What a method does beside the steps of the optimiser, and remembers from step to step."""

    def before(self, step: int, steps: int) -> None:
        """Before a step, when the gradients are there; the first of all `steps` is 1."""

    def after(self, step: int) -> None:
        """After a step; the gradients are still there."""

    def state_dict(self) -> dict[str, Any]:
        """What it remembers: tensors, numbers, texts and lists or dicts of them."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Remember that instead."""


class Nothing:
    """The usual: the optimiser's steps are all there is."""

    def before(self, step: int, steps: int) -> None:
        pass

    def after(self, step: int) -> None:
        pass

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


@dataclass(frozen=True)
class Opened:
    """A network whose weights are ready to be moved."""

    parameters: tuple[nn.Parameter, ...]
    """The parameters that are moved."""
    frozen_layers: int = 0
    """Layers, counted from the input, that stay as they are and see no dropout: they run once a text."""
    train_mode: Callable[[Network], None] = train_all
    """Put a network into the mode in which it is trained: this one, or its part above the frozen layers."""
    beside: Beside = field(default_factory=Nothing)


class Opener(Protocol):
    """Which weights a gradient method moves."""

    def open(self, network: Network) -> Opened:
        """Make trainable what is trained, the last layer always; may put adapters into the encoder.

        Raises:
            ConfigurationError: the method does not fit the encoder.
        """

    def close(self, network: Network) -> None:
        """Leave a plain network: what was added is merged into its weights, or stays whole, never half."""


def trainable(network: Network) -> tuple[nn.Parameter, ...]:
    """The parameters of `network` that take gradients."""
    return tuple(parameter for parameter in network.parameters() if parameter.requires_grad)
