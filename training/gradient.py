"""Training by gradients: batches by length, AdamW, a learning rate that rises and falls, the best epoch kept.

An `Opener` says which weights are moved, the task says how wrong an output is; the loop is the same for all.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.utils import clip_grad_norm_

from lakeloop.errors import ConfigurationError
from lakeloop.faults import reach
from training.attention import fuse_attention, restore_attention
from training.course import Course
from training.data import Batch, Tokens, bucketed_batches
from training.embed import run
from training.frozen import FrozenLayers, can_replay, worth_keeping
from training.job import Job, Trained
from training.memory import Passes, free_bytes, need_of, texts_of_a_pass, unlearnt
from training.methods.base import Opened, Opener
from training.methods.head import embeddings_of, fit_head
from training.network import Network, load_encoder
from training.probe import fitting
from training.progress import Progress
from training.ranks import RankLostError
from training.steps import Feed, Runner, runner_of
from training.tasks.base import TrainingTask
from training.validation import Scores

log = logging.getLogger(__name__)

WARM_UP = 0.1
"""Share of the steps in which the learning rate rises; then it falls to zero. Both in a straight line."""
WEIGHT_DECAY = 0.01
GRADIENT_NORM = 1.0


@dataclass(frozen=True)
class Gradient:
    """The method that trains what `opener` opens; the best epoch on validation is kept."""

    opener: Opener

    def train(self, job: Job, task: TrainingTask) -> Trained:
        if job.dataset.contract.writing is not None:
            from training.generation.fit import train_writer  # noqa: PLC0415 - it goes on from this module

            return train_writer(self.opener, job, task)
        tokens = job.tokenise()
        encoder = load_encoder(job.base, job.config.train.max_tokens)
        fuse_attention(encoder)
        job.suit(encoder)
        network = task.network(encoder, job.dataset.reads.width)
        if network.features:
            start_from_linear(job, task, network)
        opened = self.opener.open(network)
        network.to(job.device.target).eval()
        job.device = fitting(job.device, network.encoder)  # what is added may stay in float32, and not fit
        fitted, feed = network, Feed(job.device.place)
        frozen = opened.frozen_layers
        if worth_keeping(tokens, network.encoder.config.hidden_size, frozen, job.device) and can_replay(
            network, frozen, tokens, job.device
        ):
            with job.timed("frozen layers"):
                layers = FrozenLayers(network, frozen, tokens, job.device, job.ranks)
            fitted, feed = layers.network, layers.feed
        longest = tokens.width_of(int(tokens.lengths[: len(job.dataset.train)].max()))
        need = need_of(network, opened, longest, job.device)
        free = job.ranks.memory(free_bytes(job.device), job.device.target)
        passes = Passes(texts_of_a_pass(job.ranks.most_of(job.config.train.batch_texts), need, free))
        fit = Fit(job, task, opened, fitted, feed, tokens, passes)
        with job.timed("train"):
            course = fit.run()
        best = course.take_best()
        self.opener.close(network)
        restore_attention(network.encoder)
        details = {
            "best_epoch": best.number,
            "epochs": [epoch.as_dict() for epoch in course.epochs],
            "resumed_at": course.resumed,
            "trained_weights": sum(parameter.numel() for parameter in opened.parameters),
            "texts_of_a_pass": passes.texts,
        }
        return Trained(network, best.validation, details)


def start_from_linear(job: Job, task: TrainingTask, network: Network) -> None:
    """Fit the last layer on what the untouched encoder gives and the features, before anything is moved.

    The features would be learnt in few steps only else, at a rate that suits the encoder. As in Kumar et al.
    (2022), "Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution".
    """
    network.to(job.device.target)
    fit_head(job, task, embeddings_of(job, network)).linear.put_into(network.head)


@dataclass(frozen=True)
class Fit:
    """Moves the open weights of `network`."""

    job: Job
    task: TrainingTask
    opened: Opened
    network: Network
    """The whole network, or its part above the frozen layers."""
    feed: Feed
    """How a batch comes into `network`."""
    tokens: Tokens
    """Tokens of the training rows, then of the validation rows."""
    passes: Passes

    @cached_property
    def in_validation(self) -> Passes:
        """What the device has room for in validation, from epoch to epoch."""
        return unlearnt(self.job.device, "batches in validation")

    @cached_property
    def steps(self) -> Runner:
        """Runs the passes of forward, loss and backward."""
        return runner_of(self.job.device, self._backward, self.opened.parameters)

    def run(self) -> Course:
        """Train, from the newest checkpoint where there is one; the weights are those of the last epoch.

        Raises:
            ConfigurationError: the loss became infinite or no number.
            TransientError: the job was asked to end, or another process of it is gone; where it stands is
                saved.
        """
        train = self.job.config.train
        course = self._course()
        with self.job.ending.deferred():
            try:
                while not course.is_over(train.epochs, self._patience):
                    self._epoch(course)
            except RankLostError:
                self._save(course)  # the step that needed the other one was not taken
                raise
            finally:
                self.job.pulse.rest()
        return course

    def _epoch(self, course: Course) -> None:
        loss, number = self._pass(course), course.epoch
        scores = self._validate(course)
        better = course.end_epoch(loss, scores)
        course.progress.epoch(number, loss, scores, best=better)
        self._between(course)

    def _course(self) -> Course:
        """A training at its beginning, or where an ended process left it."""
        train, job = self.job.config.train, self.job
        optimiser = self._optimiser()
        course = Course(
            parameters=self.opened.parameters,
            buffers=tuple(self.network.buffers()),
            optimiser=optimiser,
            schedule=linear_schedule(optimiser, train.epochs * self._steps),
            progress=Progress(job.tracker, job.judge.metric, train.epochs, self._steps, job.told),
            passes=self.passes,
            beside=self.opened.beside,
        )
        if job.checkpoints and (state := job.checkpoints.newest()):
            course.restore(state)
            log.info("goes on after step %d of %d", course.progress.done, train.epochs * self._steps)
            if (before := state["device"]) != self._device:
                log.warning("it began on %s and is on %s now: not the same bits", before, self._device)
        job.ranks.require_same(course.progress.done)
        return course

    @property
    def _device(self) -> str:
        device = self.job.device
        processes = f", {self.job.ranks.count} processes" if self.job.ranks.count > 1 else ""
        return f"{device.name}, {device.dtype}, {device.threads} thread(s){processes}"

    def _between(self, course: Course) -> None:
        """Where the training can be taken up again: give a sign of life, save when due, end when asked."""
        job = self.job
        if not job.ranks.leads:  # it ends when the one that leads does
            return
        job.pulse.beat()
        if job.ending.asked or (job.checkpoints and job.checkpoints.due):
            self._save(course)
        if job.ending.asked:
            raise job.ending.error

    def _save(self, course: Course) -> None:
        if self.job.checkpoints:
            with self.job.ending.saving():
                state = {**course.state(), "device": self._device}
                self.job.checkpoints.save(course.progress.done, state)

    def _pass(self, course: Course) -> float:
        """Train on every row once, or on those that are left of the epoch; returns the mean loss."""
        ranks = self.job.ranks
        self.opened.train_mode(self.network)
        batches = self._batches(course.epoch)

        def backward(part: NDArray[np.int64], share: float) -> torch.Tensor:
            return self.steps.run(self._tensors(part), share * taken)

        def forget() -> None:
            self.steps.forget()
            course.optimiser.zero_grad()

        for rows in batches[course.step :]:
            if course.step == len(batches) // 2:
                reach("train.mid-epoch")
            own, taken = ranks.part_of(rows)
            ranks.draw(self.job.config.train.seed, course.progress.done)
            loss = self.passes.run(own, backward, forget)
            loss = ranks.add_up(loss, self.opened.parameters)
            self._step(course, loss, len(rows))
            self._between(course)
        return course.loss / sum(len(rows) for rows in batches)

    def _batches(self, epoch: int) -> Sequence[NDArray[np.int64]]:
        """The rows of each batch of an epoch; as many batches in each."""
        train, lengths = self.job.config.train, self.tokens.lengths[: len(self.job.dataset.train)]
        return bucketed_batches(lengths, train.batch_texts, seed=train.seed, epoch=epoch)

    def _tensors(self, rows: NDArray[np.int64]) -> tuple[torch.Tensor, ...]:
        """What the loss of some rows is computed from, on the device: their targets, then their texts."""
        batch = self.tokens.batch(rows)
        if self.tokens.targets:
            found = self.tokens.targets_of(rows, batch.input_ids.shape[1])
        else:
            found = self.job.dataset.train.targets[rows]
        return torch.from_numpy(found).to(self.job.device.target), *self.feed.tensors(batch)

    def _backward(self, tensors: Sequence[torch.Tensor], factor: float | torch.Tensor) -> torch.Tensor:
        """The loss times `factor`, without a history; its gradients are added to those that there are."""
        loss = self._loss(*tensors) * factor
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def _loss(self, targets: torch.Tensor, *texts: torch.Tensor) -> torch.Tensor:
        """The mean loss of some rows, a scalar that can be followed back to the weights."""
        with self.job.device.autocast():
            outputs = self.network(*self.feed.bind(*texts))
        return self.task.loss(outputs.float(), targets)

    def _step(self, course: Course, loss: torch.Tensor, rows: int) -> None:
        """Move the weights by the gradients of `rows` rows, whose mean loss is `loss`."""
        number, beside = course.progress.done + 1, self.opened.beside
        beside.before(number, self.job.config.train.epochs * self._steps)
        norm = clip_grad_norm_(self.opened.parameters, GRADIENT_NORM)
        learning_rate = float(course.schedule.get_last_lr()[0])
        course.optimiser.step()
        course.schedule.step()
        beside.after(number)
        course.optimiser.zero_grad(set_to_none=not self.steps.keeps_gradients)
        value = self._finite(loss.item(), "loss")
        # A gradient that is no number has made the weights so; no checkpoint may keep them.
        self._finite(norm.item(), "gradient norm")
        course.loss += value * rows
        course.step += 1
        course.progress.step(value, learning_rate, rows, norm.item())

    def _validate(self, course: Course) -> Scores:
        self.network.eval()
        first = len(self.job.dataset.train)
        rows = np.arange(first, first + len(self.job.dataset.validation))

        def compute(batch: Batch) -> torch.Tensor:
            self._between(course)
            return self._outputs(batch)

        outputs = run(
            compute,
            self.tokens,
            rows,
            self.job.device,
            "validation",
            passes=self.in_validation,
            ranks=self.job.ranks,
        )
        return self._scores(outputs)

    def _outputs(self, batch: Batch) -> torch.Tensor:
        """What validation looks at, of each row of `batch`."""
        outputs: torch.Tensor = self.network(*self.feed(batch))
        return outputs

    def _scores(self, outputs: Any) -> Scores:
        """How `outputs` of the validation rows do."""
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

    def _finite(self, number: float, what: str) -> float:
        if not math.isfinite(number):
            raise ConfigurationError(
                "training diverged",
                where="train.learning_rate",
                expected=f"a finite {what}",
                found=f"{what} {number} at learning rate {self._learning_rate:g}",
                remedy="lower it",
            )
        return number

    @property
    def _learning_rate(self) -> float:
        return float(self.job.settings["learning_rate"])

    @property
    def _patience(self) -> int:
        """Epochs without a better one that are waited for."""
        return self.job.config.train.patience

    @property
    def _steps(self) -> int:
        """Batches of an epoch."""
        return math.ceil(len(self.job.dataset.train) / self.job.config.train.batch_texts)


def linear_schedule(optimiser: torch.optim.Optimizer, steps: int) -> torch.optim.lr_scheduler.LambdaLR:
    """A learning rate that rises from nearly zero in the first `WARM_UP` of `steps`, then falls to zero."""
    rise = max(1, round(WARM_UP * steps))

    def factor(step: int) -> float:
        return min((step + 1) / rise, max(0.0, (steps - step) / max(1, steps - rise)))

    return torch.optim.lr_scheduler.LambdaLR(optimiser, factor)
