"""The training loop: batches by length, AdamW, a learning rate that rises and falls, the best epoch kept.

Which weights are open was decided before (`methods`); the loop trains whatever requires a gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from torch.nn.utils import clip_grad_norm_

from lakeloop.errors import ConfigurationError
from lakeloop.faults import reach
from lakeloop.spec.models import Train
from lakeloop.tracking.tracker import Tracker
from training.data import Batch, Dataset, Tokens, bucketed_batches
from training.device import Device
from training.embed import run
from training.model import TextClassifier, layers_of
from training.progress import Progress
from training.scores import Scores, score

WARM_UP = 0.1
"""Share of the steps in which the learning rate rises; then it falls to zero. Both in a straight line."""
WEIGHT_DECAY = 0.01
GRADIENT_NORM = 1.0


@dataclass(frozen=True)
class Epoch:
    """One pass over the training rows."""

    number: int
    """From 1."""
    loss: float
    """Mean over the training rows."""
    validation: Scores


@dataclass(frozen=True)
class Fit:
    """Trains the open weights of `network`."""

    network: TextClassifier
    feed: Callable[[Batch], tuple[torch.Tensor, torch.Tensor]]
    """What the network is called with for a batch."""
    tokens: Tokens
    """Of the training rows, then of the validation rows."""
    dataset: Dataset
    train: Train
    learning_rate: float
    frozen_layers: int
    """Layers at the input side that stay as they are."""
    device: Device
    tracker: Tracker

    def run(self) -> tuple[list[Epoch], Epoch]:
        """Train; all epochs, and the one whose weights the network has in the end.

        Raises:
            ConfigurationError: the loss became infinite or no number.
        """
        optimiser = self._optimiser()
        schedule = linear_schedule(optimiser, self.train.epochs * self._steps)
        progress = Progress(self.tracker, self.train.epochs, self._steps)
        epochs: list[Epoch] = []
        best: Epoch | None = None
        kept: list[torch.Tensor] = []
        for number in range(1, self.train.epochs + 1):
            loss = self._pass(number, optimiser, schedule, progress)
            epochs.append(epoch := Epoch(number, loss, self._validate()))
            if better := best is None or epoch.validation.rank > best.validation.rank:
                best, kept = epoch, [p.detach().clone() for p in self._open]
            progress.epoch(number, loss, epoch.validation, best=better)
            assert best is not None
            if number - best.number >= self.train.patience:
                break
        assert best is not None
        with torch.no_grad():
            for parameter, value in zip(self._open, kept, strict=True):
                parameter.copy_(value)
        return epochs, best

    def _pass(
        self,
        number: int,
        optimiser: torch.optim.Optimizer,
        schedule: torch.optim.lr_scheduler.LRScheduler,
        progress: Progress,
    ) -> float:
        """Train on every row once; the mean loss."""
        self._train_mode()
        labels = torch.from_numpy(self.dataset.train.labels)
        lengths = self.tokens.lengths[: len(labels)]
        batches = bucketed_batches(lengths, self.train.batch_size, seed=self.train.seed, epoch=number)
        total = 0.0
        for step, rows in enumerate(batches):
            if step == len(batches) // 2:
                reach("train.mid-epoch")
            with self.device.autocast():
                logits = self.network(*self.feed(self.tokens.batch(rows)))
            loss = cross_entropy(logits.float(), labels[rows].to(self.device.target))
            loss.backward()  # type: ignore[no-untyped-call]
            clip_grad_norm_(self._open, GRADIENT_NORM)
            learning_rate = float(schedule.get_last_lr()[0])
            optimiser.step()
            schedule.step()
            optimiser.zero_grad(set_to_none=True)
            value = self._finite(loss.item())
            total += value * len(rows)
            progress.step(value, learning_rate, len(rows))
        return total / len(labels)

    def _validate(self) -> Scores:
        self.network.eval()
        first = len(self.dataset.train)
        rows = np.arange(first, first + len(self.dataset.validation))
        logits = run(
            lambda batch: self.network(*self.feed(batch)), self.tokens, rows, self.device, "validation"
        )
        return score(logits, self.dataset.validation.labels)

    def _train_mode(self) -> None:
        self.network.train()
        if self.frozen_layers:
            # Without dropout below the trained layers: what comes out of them is the same in every epoch.
            self.network.encoder.eval()  # type: ignore[no-untyped-call]
            layers_of(self.network.encoder)[-self.train.top_layers :].train()

    def _optimiser(self) -> torch.optim.Optimizer:
        # Biases and norms are one-dimensional; decay would pull them to zero for no gain.
        decayed = [p for p in self._open if p.ndim > 1]
        others = [p for p in self._open if p.ndim <= 1]
        return torch.optim.AdamW(
            [{"params": decayed, "weight_decay": WEIGHT_DECAY}, {"params": others, "weight_decay": 0.0}],
            lr=self.learning_rate,
            fused=True,
        )

    def _finite(self, loss: float) -> float:
        if not math.isfinite(loss):
            raise ConfigurationError(
                "training diverged",
                where="train.learning_rate",
                expected="a finite loss",
                found=f"loss {loss} at learning rate {self.learning_rate:g}",
                remedy="lower it",
            )
        return loss

    @property
    def _open(self) -> list[torch.nn.Parameter]:
        return [p for p in self.network.parameters() if p.requires_grad]

    @property
    def _steps(self) -> int:
        """Batches of an epoch."""
        return math.ceil(len(self.dataset.train) / self.train.batch_size)


def linear_schedule(optimiser: torch.optim.Optimizer, steps: int) -> torch.optim.lr_scheduler.LambdaLR:
    """From nearly nothing up within the first `WARM_UP` of `steps`, and down to zero at their end."""
    rise = max(1, round(WARM_UP * steps))

    def factor(step: int) -> float:
        return min((step + 1) / rise, max(0.0, (steps - step) / max(1, steps - rise)))

    return torch.optim.lr_scheduler.LambdaLR(optimiser, factor)
