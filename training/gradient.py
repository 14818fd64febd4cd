"""Training by gradients: batches by length, AdamW, a learning rate that rises and falls, the best epoch kept.

An `Opener` says which weights are moved, the task says how wrong an output is; the loop is the same for all.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.utils import clip_grad_norm_

from lakeloop.errors import ConfigurationError
from lakeloop.faults import reach
from training.attention import fuse_attention, restore_attention
from training.data import Batch, Tokens, bucketed_batches
from training.embed import run
from training.frozen import FrozenLayers, can_replay, worth_keeping
from training.job import Job, Trained
from training.memory import Passes, free_bytes, need_of, texts_of_a_pass
from training.methods.base import Opened, Opener
from training.network import Network, load_encoder
from training.progress import Progress
from training.tasks.base import TrainingTask
from training.validation import Scores

WARM_UP = 0.1
"""Share of the steps in which the learning rate rises; then it falls to zero. Both in a straight line."""
WEIGHT_DECAY = 0.01
GRADIENT_NORM = 1.0


@dataclass(frozen=True)
class Gradient:
    """The method that trains what `opener` opens; the best epoch on validation is kept."""

    opener: Opener

    def train(self, job: Job, task: TrainingTask) -> Trained:
        tokens = job.tokenise()
        encoder = load_encoder(job.base, job.config.train.max_tokens)
        fuse_attention(encoder)
        job.suit(encoder)
        network = task.network(encoder)
        opened = self.opener.open(network)
        network.to(job.device.target)
        fitted, feed = network, job.device.place
        frozen = opened.frozen_layers
        if worth_keeping(tokens, network.head.in_features, frozen, job.device) and can_replay(
            network, frozen, tokens, job.device
        ):
            with job.timed("frozen layers"):
                layers = FrozenLayers(network, frozen, tokens, job.device)
            fitted, feed = layers.network, layers.feed
        longest = int(tokens.lengths[: len(job.dataset.train)].max())
        need = need_of(network, opened, longest, job.device)
        passes = Passes(texts_of_a_pass(job.config.train.batch_size, need, free_bytes(job.device)))
        fit = Fit(job, task, opened, fitted, feed, tokens, passes)
        with job.timed("train"):
            epochs, best = fit.run()
        self.opener.close(network)
        restore_attention(network.encoder)
        details = {
            "best_epoch": best.number,
            "epochs": [epoch.as_dict() for epoch in epochs],
            "trained_weights": sum(parameter.numel() for parameter in opened.parameters),
            "texts_of_a_pass": passes.texts,
        }
        return Trained(network, best.validation, details)


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


@dataclass(frozen=True)
class Fit:
    """Moves the open weights of `network`."""

    job: Job
    task: TrainingTask
    opened: Opened
    network: Network
    """The whole network, or its part above the frozen layers."""
    feed: Callable[[Batch], tuple[torch.Tensor, torch.Tensor]]
    """Batch -> the arguments for a call of `network`."""
    tokens: Tokens
    """Tokens of the training rows, then of the validation rows."""
    passes: Passes

    def run(self) -> tuple[list[Epoch], Epoch]:
        """Train; returns all epochs, and the one whose weights the network has in the end.

        Raises:
            ConfigurationError: the loss became infinite or no number.
        """
        train = self.job.config.train
        optimiser = self._optimiser()
        schedule = linear_schedule(optimiser, train.epochs * self._steps)
        progress = Progress(self.job.tracker, self.job.judge.metric, train.epochs, self._steps)
        epochs: list[Epoch] = []
        best: Epoch | None = None
        kept: list[torch.Tensor] = []
        for number in range(1, train.epochs + 1):
            loss = self._pass(number, optimiser, schedule, progress)
            epochs.append(epoch := Epoch(number, loss, self._validate()))
            if better := best is None or epoch.validation.rank > best.validation.rank:
                best, kept = epoch, [p.detach().clone() for p in self.opened.parameters]
            progress.epoch(number, loss, epoch.validation, best=better)
            assert best is not None
            if number - best.number >= train.patience:
                break
        assert best is not None
        with torch.no_grad():
            for parameter, value in zip(self.opened.parameters, kept, strict=True):
                parameter.copy_(value)
        return epochs, best

    def _pass(
        self,
        number: int,
        optimiser: torch.optim.Optimizer,
        schedule: torch.optim.lr_scheduler.LRScheduler,
        progress: Progress,
    ) -> float:
        """Train on every row once; returns the mean loss."""
        train, device = self.job.config.train, self.job.device
        self.opened.train_mode(self.network)
        targets = torch.from_numpy(self.job.dataset.train.targets)
        lengths = self.tokens.lengths[: len(targets)]
        batches = bucketed_batches(lengths, train.batch_size, seed=train.seed, epoch=number)

        def backward(part: NDArray[np.int64], share: float) -> torch.Tensor:
            with device.autocast():
                outputs = self.network(*self.feed(self.tokens.batch(part)))
            loss = self.task.loss(outputs.float(), targets[part].to(device.target)) * share
            loss.backward()  # type: ignore[no-untyped-call]
            return loss.detach()

        total = 0.0
        for step, rows in enumerate(batches):
            if step == len(batches) // 2:
                reach("train.mid-epoch")
            loss = self.passes.run(rows, backward, optimiser.zero_grad)
            done = (number - 1) * self._steps + step + 1
            self.opened.beside.before(done, train.epochs * self._steps)
            clip_grad_norm_(self.opened.parameters, GRADIENT_NORM)
            learning_rate = float(schedule.get_last_lr()[0])
            optimiser.step()
            schedule.step()
            self.opened.beside.after(done)
            optimiser.zero_grad(set_to_none=True)
            value = self._finite(loss.item())
            total += value * len(rows)
            progress.step(value, learning_rate, len(rows))
        return total / len(targets)

    def _validate(self) -> Scores:
        self.network.eval()
        first = len(self.job.dataset.train)
        rows = np.arange(first, first + len(self.job.dataset.validation))
        outputs = run(
            lambda batch: self.network(*self.feed(batch)), self.tokens, rows, self.job.device, "validation"
        )
        return self.job.judge.score(self.task, outputs)

    def _optimiser(self) -> torch.optim.Optimizer:
        # Biases and norms are one-dimensional; decay would pull them to zero for no gain.
        decayed = [p for p in self.opened.parameters if p.ndim > 1]
        others = [p for p in self.opened.parameters if p.ndim <= 1]
        return torch.optim.AdamW(
            [{"params": decayed, "weight_decay": WEIGHT_DECAY}, {"params": others, "weight_decay": 0.0}],
            lr=self._learning_rate,
            fused=True,
        )

    def _finite(self, loss: float) -> float:
        if not math.isfinite(loss):
            raise ConfigurationError(
                "training diverged",
                where="train.learning_rate",
                expected="a finite loss",
                found=f"loss {loss} at learning rate {self._learning_rate:g}",
                remedy="lower it",
            )
        return loss

    @property
    def _learning_rate(self) -> float:
        return float(self.job.settings["learning_rate"])

    @property
    def _steps(self) -> int:
        """Batches of an epoch."""
        return math.ceil(len(self.job.dataset.train) / self.job.config.train.batch_size)


def linear_schedule(optimiser: torch.optim.Optimizer, steps: int) -> torch.optim.lr_scheduler.LambdaLR:
    """A learning rate that rises from nearly zero in the first `WARM_UP` of `steps`, then falls to zero."""
    rise = max(1, round(WARM_UP * steps))

    def factor(step: int) -> float:
        return min((step + 1) / rise, max(0.0, (steps - step) / max(1, steps - rise)))

    return torch.optim.lr_scheduler.LambdaLR(optimiser, factor)
