"""Training by gradients: batches by length, AdamW, a learning rate that rises and falls, the best epoch kept.

An `Opener` says which weights are moved, the task says how wrong an output is; the loop is the same for all.
"""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
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
from training.compiled import compiled_layers, is_long
from training.course import Course
from training.data import Tokens, bucketed_batches
from training.embed import run
from training.extras.adversarial import Learner, learner_of
from training.extras.average import average_of
from training.extras.distil import answers_of
from training.extras.objective import Objective, even_rows, objective_of, set_dropout
from training.extras.schedule import schedule_of
from training.frozen import FrozenLayers, can_replay, worth_keeping
from training.job import Job, Trained
from training.memory import Passes, free_bytes, need_of, texts_of_a_pass, unlearnt
from training.methods.base import Opened, Opener
from training.methods.head import embeddings_of, fit_head
from training.network import Network, load_encoder
from training.probe import fitting
from training.progress import Progress
from training.ranks import RankLostError
from training.readings import Reading, Readings
from training.steps import Feed, Forward, Runner, forward_of, runner_of
from training.tasks.base import TrainingTask
from training.validation import Scores

log = logging.getLogger(__name__)


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
        set_dropout(encoder, job.config.train.dropout, job.base.name)
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
        with job.timed("train"), fit.compiled() as compiled:
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
            "compiled_layers": compiled,
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
    def forward(self) -> Forward:
        """Runs the passes of validation; what is recorded holds from epoch to epoch."""
        return forward_of(self.job.device, self.feed, self._validated, "validation")

    @cached_property
    def steps(self) -> Runner:
        """Runs the passes of forward, loss and backward."""
        return runner_of(self.job.device, self._backward, self.opened.parameters)

    def compiled(self) -> AbstractContextManager[int]:
        """A context in which layers run compiled, if device and length of the training say so; how many."""
        train = self.job.config.train
        tokens = train.epochs * int(self.tokens.lengths[: len(self.job.dataset.train)].sum())
        if self.job.device.plan.compiled and is_long(self.network, tokens):
            return compiled_layers(self.network, self._try_out)
        return contextlib.nullcontext(0)

    def _try_out(self) -> None:
        """A pass as in training and one as in validation, of two texts; leaves no trace."""
        rows = np.arange(min(2, len(self.job.dataset.train)))
        with torch.random.fork_rng():
            self.opened.train_mode(self.network)
            self._backward(self._tensors(rows), 1.0)
        self.network.eval()
        with torch.inference_mode(), self.job.device.autocast():
            self._validated(*self.feed(self.tokens.batch(rows)))
        for weights in self.opened.parameters:
            weights.grad = None

    @cached_property
    def objective(self) -> Objective:
        """What the steps learn; validation has the loss of the task."""
        job, train = self.job, self.job.dataset.train

        def taught() -> NDArray[np.float32]:
            (teacher,) = (folder for key, folder in job.config.beside.items() if key.startswith("distil"))
            with job.timed("ask the teacher"):
                return answers_of(teacher, job.dataset.contract, train.instances, job.config.cache)

        return objective_of(self.task, job.config.train, job.dataset.contract.names, train.targets, taught)

    @cached_property
    def learner(self) -> Learner:
        """How the network learns from a batch."""
        return learner_of(self.job.config.train.adversarial, self.network, self.opened.frozen_layers)

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
                while not course.is_over(train.epochs, self._patience, train.min_delta):
                    self._epoch(course)
            except RankLostError:
                self._save(course)  # the step that needed the other one was not taken
                raise
            finally:
                self.job.pulse.rest()
        return course

    def _epoch(self, course: Course) -> None:
        loss, number = self._pass(course), course.epoch
        with course.averaged():
            scores = self._validate(course)
            better = course.end_epoch(loss, scores)
        course.progress.epoch(number, loss, scores, best=better)
        self.job.trial.tell(number, scores.named)
        self._between(course)

    def _course(self) -> Course:
        """A training at its beginning, or where an ended process left it."""
        train, job = self.job.config.train, self.job
        optimiser = self._optimiser()
        course = Course(
            parameters=self.opened.parameters,
            buffers=tuple(self.network.buffers()),
            optimiser=optimiser,
            schedule=schedule_of(train.schedule, optimiser, train.epochs * self._steps, train.warmup),
            progress=Progress(job.tracker, job.judge.metric, train.epochs, self._steps, job.told),
            passes=self.passes,
            beside=self.opened.beside,
            readings=Readings(job.device.plan.late),
            average=average_of(train.average),
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
        job.trial.go_on()
        if job.ending.asked or (job.checkpoints and job.checkpoints.due):
            self._save(course)
        if job.ending.asked:
            raise job.ending.error

    def _save(self, course: Course) -> None:
        if self.job.checkpoints:
            self._tell(course, course.readings.rest())
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
            ranks.draw(self.job.config.train.seed, course.taken)
            loss = self.passes.run(own, backward, forget)
            loss = ranks.add_up(loss, self.opened.parameters)
            self._step(course, loss, len(rows))
            self._between(course)
        self._tell(course, course.readings.rest())
        return course.loss / sum(len(rows) for rows in batches)

    def _batches(self, epoch: int) -> Sequence[NDArray[np.int64]]:
        """The rows of each batch of an epoch; as many batches in each."""
        train, lengths = self.job.config.train, self.tokens.lengths[: len(self.job.dataset.train)]
        if train.sampling == "once":
            return bucketed_batches(lengths, train.batch_texts, seed=train.seed, epoch=epoch)
        drawn = even_rows(self.job.dataset.train.targets, seed=train.seed, epoch=epoch)
        batches = bucketed_batches(lengths[drawn], train.batch_texts, seed=train.seed, epoch=epoch)
        return [drawn[rows] for rows in batches]

    def _tensors(self, rows: NDArray[np.int64]) -> tuple[torch.Tensor, ...]:
        """What the loss of some rows is computed from, on the device: their targets, then their texts."""
        batch = self.tokens.batch(rows)
        if self.tokens.targets:
            found = self.tokens.targets_of(rows, batch.input_ids.shape[1])
        else:
            found = self.objective.targets[rows]
        return self.job.device.put(torch.from_numpy(found)), *self.feed.tensors(batch)

    def _backward(self, tensors: Sequence[torch.Tensor], factor: float | torch.Tensor) -> torch.Tensor:
        """The loss times `factor`, without a history; its gradients are added to those that there are."""
        return self.learner.learn(lambda: self._loss(*tensors) * factor)

    def _loss(self, targets: torch.Tensor, *texts: torch.Tensor) -> torch.Tensor:
        """The mean loss of some rows, a scalar that can be followed back to the weights."""
        with self.job.device.autocast():
            outputs = self.network(*self.feed.bind(*texts))
        return self.objective.loss(outputs.float(), targets)

    def _step(self, course: Course, loss: torch.Tensor, rows: int) -> None:
        """Move the weights by the gradients of `rows` rows, whose mean loss is `loss`."""
        number, beside = course.taken + 1, self.opened.beside
        beside.before(number, self.job.config.train.epochs * self._steps)
        norm = clip_grad_norm_(self.opened.parameters, self.job.config.train.max_grad_norm)
        learning_rate = float(course.schedule.get_last_lr()[0])
        course.optimiser.step()
        course.schedule.step()
        beside.after(number)
        course.average.step(self.opened.parameters)
        course.optimiser.zero_grad(set_to_none=not self.steps.keeps_gradients)
        course.step += 1
        self._tell(course, course.readings.add(loss, norm, learning_rate, rows))

    def _tell(self, course: Course, readings: Iterable[Reading]) -> None:
        """Count steps that were read; what was learnt from one that is no number is kept nowhere.

        Raises:
            ConfigurationError: a loss or a gradient is not finite.
        """
        for each in readings:
            self._finite(each.loss, "loss")
            # A gradient that is no number has made the weights so; no checkpoint may keep them.
            self._finite(each.norm, "gradient norm")
            course.loss += each.loss * each.rows
            course.progress.step(each.loss, each.learning_rate, each.rows, each.norm)

    def _validate(self, course: Course) -> Scores:
        self.network.eval()
        first = len(self.job.dataset.train)
        rows = np.arange(first, first + len(self.job.dataset.validation))
        outputs = run(
            self.forward,
            self.tokens,
            rows,
            self.job.device,
            "validation",
            passes=self.in_validation,
            ranks=self.job.ranks,
            between=lambda: self._between(course),
        )
        return self._scores(outputs)

    def _scores(self, outputs: Any) -> Scores:
        """How `outputs` of the validation rows do."""
        return self.job.judge.score(self.task, outputs)

    def _validated(self, *given: torch.Tensor) -> torch.Tensor:
        """What an epoch is judged by."""
        outputs: torch.Tensor = self.network(*given)
        return outputs

    def _optimiser(self) -> torch.optim.Optimizer:
        # Biases and norms are one-dimensional; decay would pull them to zero for no gain.
        decayed = [p for p in self.opened.parameters if p.ndim > 1]
        others = [p for p in self.opened.parameters if p.ndim <= 1]
        decay = self.job.config.train.weight_decay
        return torch.optim.AdamW(
            [{"params": decayed, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}],
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
