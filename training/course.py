"""Where a training by gradients stands: its state for a checkpoint, and the way back from one.

With the weights, the optimiser, the learning rate's schedule, the random numbers and the place in the data,
a training that goes on does bit for bit what it would have done; the order of the rows follows from the
seed, the epoch and the number of the batch.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from training.checkpoint import State
from training.extras.average import Average, NoAverage
from training.memory import Passes
from training.methods.base import Beside
from training.progress import Progress
from training.readings import Readings
from training.validation import Scores


@dataclass(frozen=True)
class Epoch:
    """One pass over the training rows."""

    number: int
    """From 1."""
    loss: float
    """Mean over the training rows."""
    validation: Scores

    def as_dict(self) -> dict[str, Any]:
        return {"number": self.number, "loss": self.loss, "validation": dict(self.validation.named)}


@dataclass
class Course:
    """A training under way."""

    parameters: Sequence[torch.Tensor]
    """The weights that are moved."""
    buffers: Sequence[torch.Tensor]
    """What else the network keeps from batch to batch."""
    optimiser: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    progress: Progress
    passes: Passes
    beside: Beside
    """What the method does beside the optimiser's steps."""
    readings: Readings = field(default_factory=Readings)
    """Of the steps that were taken and are not in `progress` and `loss` yet."""
    average: Average = field(default_factory=NoAverage)
    """What stands for the weights at the end of an epoch."""
    epoch: int = 1
    """The one under way, from 1."""
    step: int = 0
    """Batches of it that are done."""
    loss: float = 0.0
    """Over the rows of these batches, summed."""
    epochs: list[Epoch] = field(default_factory=list)
    """Those that are over."""
    best: Epoch | None = None
    kept: list[torch.Tensor] = field(default_factory=list)
    """The weights after `best`."""
    resumed: list[int] = field(default_factory=list)
    """After how many batches in all a process went on with the work of an ended one."""
    aside: Sequence[torch.Tensor] = ()
    """The weights themselves, while their mean is in their place."""

    @property
    def taken(self) -> int:
        """Steps over all epochs."""
        return self.progress.done + len(self.readings)

    def is_over(self, epochs: int, patience: int, least: float = 0.0) -> bool:
        """Whether `epochs` are done, or `patience` of them since one whose score was better by `least`."""
        return len(self.epochs) >= epochs or self._waited(least) >= patience

    def _waited(self, least: float) -> int:
        """Epochs since one that was better than those before it, and its score better by `least`."""
        last: Epoch | None = None
        for epoch in self.epochs:
            if last is None or (
                epoch.validation.rank > last.validation.rank
                and epoch.validation.rank[0] - last.validation.rank[0] >= least
            ):
                last = epoch
        return len(self.epochs) - last.number if last else 0

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """For the end of an epoch: in the block the weights are their mean, after it themselves again."""
        if (mean := self.average.of(self.parameters)) is None:
            yield
            return
        self.aside = [weights.detach().clone() for weights in self.parameters]
        _copy(mean, self.parameters)
        try:
            yield
        finally:
            _copy(self.aside, self.parameters)
            self.aside = ()
        self.average.end_epoch(self.parameters)

    def end_epoch(self, loss: float, validation: Scores) -> bool:
        """Write down the epoch under way with its mean loss; returns whether it is the best so far."""
        self.epochs.append(epoch := Epoch(self.epoch, loss, validation))
        if better := self.best is None or epoch.validation.rank > self.best.validation.rank:
            self.best, self.kept = epoch, [weights.detach().clone() for weights in self.parameters]
        self.epoch, self.step, self.loss = self.epoch + 1, 0, 0.0
        return better

    def take_best(self) -> Epoch:
        """Give the weights those of the best epoch, which is returned."""
        assert self.best is not None
        _copy(self.kept, self.parameters)
        return self.best

    def state(self) -> State:
        """All of it, for `restore` in another process; no step waits to be read."""
        return {
            "parameters": [_own(weights) for weights in self.aside or self.parameters],
            "buffers": [_own(buffer) for buffer in self.buffers],
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "beside": self.beside.state_dict(),
            "average": self.average.state_dict(),
            "progress": self.progress.state(),
            "passes": (self.passes.texts, self.passes.halved),
            "place": (self.epoch, self.step, self.loss),
            "epochs": [_plain(epoch) for epoch in self.epochs],
            "best": self.best.number if self.best else None,
            "kept": self.kept,
            "resumed": self.resumed,
            "random": _random_numbers(),
        }

    def restore(self, state: State) -> None:
        """Stand where `state` was taken.

        Raises:
            ValueError, RuntimeError: it is the state of another network.
        """
        _copy(state["parameters"], self.parameters)
        _copy(state["buffers"], self.buffers)
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])
        self.beside.load_state_dict(state["beside"])
        self.average.load_state_dict(state["average"], self.parameters)
        self.progress.restore(state["progress"])
        texts, self.passes.halved = state["passes"]
        # Where there is less memory than before, that much less; it was said when it was measured.
        self.passes.texts = min(self.passes.texts, texts)
        self.epoch, self.step, self.loss = state["place"]
        self.epochs = [
            Epoch(number, loss, Scores(named, rank)) for number, loss, named, rank in state["epochs"]
        ]
        self.best = self.epochs[state["best"] - 1] if state["best"] else None
        self.kept = [
            weights.to(own.device) for weights, own in zip(state["kept"], self.parameters, strict=False)
        ]
        self.resumed = [*state["resumed"], self.progress.done]
        _draw_from(state["random"])


@torch.no_grad()
def _copy(values: Sequence[torch.Tensor], into: Sequence[torch.Tensor]) -> None:
    for value, place in zip(values, into, strict=True):
        place.copy_(value)


def _own(tensor: torch.Tensor) -> torch.Tensor:
    """`tensor` with no more memory behind it than its own: a file holds all that is behind a tensor."""
    tensor = tensor.detach()
    whole = tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
    return tensor if whole else tensor.clone()


def _plain(epoch: Epoch) -> tuple[int, float, dict[str, float], tuple[float, float]]:
    scores = epoch.validation
    decisive, loss = scores.rank
    named = {name: float(value) for name, value in scores.named.items()}
    return epoch.number, float(epoch.loss), named, (float(decisive), float(loss))


def _random_numbers() -> State:
    """Where the generators stand that a training draws from."""
    version, python, gauss = random.getstate()
    generator: Any = np.random.get_state()
    name, numpy, *rest = generator
    return {
        "python": (version, torch.tensor(python), gauss),
        "numpy": (name, torch.from_numpy(numpy.astype(np.int64)), *rest),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
    }


def _draw_from(state: State) -> None:
    version, python, gauss = state["python"]
    random.setstate((version, tuple(python.tolist()), gauss))
    name, numpy, *rest = state["numpy"]
    np.random.set_state((name, numpy.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state["torch"])
    if state["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
