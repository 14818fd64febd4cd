"""The training of a language model on right answers, and what it writes for validation rows in the end.

Epochs are compared by the loss of the right answers: to write them anew each time would take longer than the
epoch. What the best epoch writes is scored once, on some of the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lakeloop.errors import ConfigurationError
from lakeloop.inference.batches import length_batches, pad
from lakeloop.inference.engines.torch_generate import write
from lakeloop.inference.writing import Prompts
from lakeloop.measures.generation import PERPLEXITY, perplexity_of
from lakeloop.measures.registry import learning_metrics_of
from lakeloop.tasks.base import Writing
from training.data import NO_TARGET, Batch, Tokens
from training.embed import run
from training.extras.objective import set_dropout
from training.generation.network import Writer, load_model
from training.gradient import Fit
from training.job import Job, Trained
from training.memory import Need, Passes, free_bytes, need_of, texts_of_a_pass
from training.methods.base import Opened, Opener
from training.steps import Eager, Feed, Forward, Runner
from training.tasks.base import TrainingTask
from training.validation import LOSS, Scores

SCORED_ROWS = 200
"""Validation rows, at most, that an answer is written for when the training is over."""
_A_LOGIT = 12
"""Bytes of a number for a token that a step holds: itself, in float32, and its gradient."""


@dataclass(frozen=True)
class WriterFit(Fit):
    """Moves the open weights of a language model."""

    @cached_property
    def forward(self) -> Forward:
        return forward_in(self.job, self.network, self.tokens)

    @property
    def steps(self) -> Runner:
        """Kernel by kernel: where answers stand, and so what is computed, is another in each batch."""
        return Eager(self._backward)

    def _tensors(self, rows: NDArray[np.int64]) -> tuple[torch.Tensor, ...]:
        return inputs_of(self.job, self.tokens, self.tokens.batch(rows))

    def _loss(self, targets: torch.Tensor, *texts: torch.Tensor) -> torch.Tensor:
        with self.job.device.autocast():
            outputs = self.network(*texts, targets)
        return self.task.loss(outputs, targets)

    def _scores(self, outputs: Any) -> Scores:
        return scores_of(outputs)


def train_writer(opener: Opener, job: Job, task: TrainingTask) -> Trained:
    """Train the weights that `opener` opens, and keep the epoch with the smallest loss on validation."""
    tokens, network = tokens_of(job), loaded(job)
    set_dropout(network.encoder, job.config.train.dropout, job.base.name)
    opened = opener.open(network)
    network.to(job.device.target).eval()
    longest = tokens.width_of(int(tokens.lengths[: len(job.dataset.train)].max()))
    need = _need(network, opened, longest, job)
    free = job.ranks.memory(free_bytes(job.device), job.device.target)
    passes = Passes(texts_of_a_pass(job.ranks.most_of(job.config.train.batch_texts), need, free))
    told = replace(job, judge=replace(job.judge, metric=PERPLEXITY))
    fit = WriterFit(told, task, opened, network, Feed(job.device.place), tokens, passes)
    with job.timed("train"):
        course = fit.run()
    best = course.take_best()
    opener.close(network)
    scores, rows = written_scores(job, network, best.validation)
    details = {
        "best_epoch": best.number,
        "epochs": [epoch.as_dict() for epoch in course.epochs],
        "resumed_at": course.resumed,
        "trained_weights": sum(parameter.numel() for parameter in opened.parameters),
        "texts_of_a_pass": passes.texts,
        "written_rows": rows,
    }
    return Trained(network, scores, details)


def as_it_is(job: Job, task: TrainingTask) -> Trained:  # noqa: ARG001 - other methods need the task
    """The base model untrained, and what it writes for the prompt."""
    tokens, network = tokens_of(job), loaded(job).to(job.device.target)
    first = len(job.dataset.train)
    rows = np.arange(first, first + len(job.dataset.validation))
    forward = forward_in(job, network, tokens)
    outputs = run(forward, tokens, rows, job.device, "validation", ranks=job.ranks, between=job.pulse.beat)
    scores, written = written_scores(job, network, scores_of(outputs))
    job.tracker.log({f"validation/{name}": value for name, value in scores.named.items()})
    return Trained(network, scores, {"written_rows": written})


def loaded(job: Job) -> Writer:
    """The base model of `job` as a network."""
    return Writer(load_model(job.base, writing_in(job)), writing_in(job))


def writing_in(job: Job) -> Writing:
    """How the models of `job` are asked."""
    writing = job.dataset.contract.writing
    assert writing is not None
    return writing


def prompts_of(job: Job) -> Prompts:
    """The prompts of `job`.

    Raises:
        ConfigurationError: the words around a text leave no room for it.
    """
    most = job.config.train.max_tokens
    prompts = Prompts(job.tokenizer, writing_in(job), most)
    if prompts.fixed >= most:
        raise ConfigurationError(
            "the prompt leaves no room for a text",
            where="train.max_tokens",
            expected=f"more than the {prompts.fixed} tokens of the prompt alone",
            found=str(most),
            remedy="raise it, or say fewer words and examples in section task",
        )
    return prompts


def tokens_of(job: Job) -> Tokens:
    """Tokens of all rows, the training rows first, and which of them are learnt: those of right answers.

    A model that only goes on reads prompt and answer as one text; the target of a token is the one behind it.
    """
    dataset, writing = job.dataset, writing_in(job)
    with job.timed("tokenise"):
        prompts = prompts_of(job)
        asked = prompts.ids([each.text for each in dataset.instances])
        right = prompts.right([*dataset.train.values, *dataset.validation.values])
    limit = job.config.train.max_tokens
    if writing.start is None:
        targets = [_behind(prompt, answer) for prompt, answer in zip(asked, right, strict=True)]
        asked = [[*prompt, *answer[:-1]] for prompt, answer in zip(asked, right, strict=True)]
        limit += writing.max_new_tokens
    else:
        targets = [np.array(answer, dtype=np.int64) for answer in right]
    ids = tuple(np.array(row, dtype=np.int32) for row in asked)
    return Tokens(ids, writing.pad, plan=job.device.plan, limit=limit, targets=tuple(targets))


def _behind(prompt: Sequence[int], answer: Sequence[int]) -> NDArray[np.int64]:
    """The answer, moved so that each token stands where the one before it is read."""
    return np.array([*[NO_TARGET] * (len(prompt) - 1), *answer], dtype=np.int64)


def inputs_of(job: Job, tokens: Tokens, batch: Batch) -> tuple[torch.Tensor, ...]:
    """Targets, ids and mask of `batch` on the device."""
    longest = max(len(tokens.targets[row]) for row in batch.rows)
    width = batch.input_ids.shape[1] if writing_in(job).start is None else longest
    targets = torch.from_numpy(tokens.targets_of(batch.rows, width)).to(job.device.target)
    return targets, *job.device.place(batch)


def forward_in(job: Job, network: Any, tokens: Tokens) -> Forward:
    """What `Writer` gives for a batch, float32 [rows, 2], kernel by kernel: each batch has another shape."""

    def work(tensors: Sequence[torch.Tensor], _: float | torch.Tensor) -> torch.Tensor:
        targets, *texts = tensors
        with job.device.autocast():
            found: torch.Tensor = network(*texts, targets)
        return found

    return Forward(Feed(lambda batch: inputs_of(job, tokens, batch)), Eager(work))


def scores_of(losses: NDArray[np.float32]) -> Scores:
    """Loss and perplexity over all tokens of right answers, of the summed losses and numbers of the rows."""
    total, count = losses.astype(np.float64).sum(axis=0)
    loss = float(total / max(count, 1.0))
    return Scores({PERPLEXITY.name: perplexity_of(loss), LOSS: loss}, (-loss, -loss))


def written_scores(job: Job, network: Writer, before: Scores) -> tuple[Scores, int]:
    """`before` with the metrics of what `network` writes for some validation rows, and for how many."""
    dataset, writing, task = job.dataset, writing_in(job), job.judge.task
    count = min(SCORED_ROWS, len(dataset.validation))
    picked = np.linspace(0, len(dataset.validation) - 1, count).astype(int)
    with job.timed("write"):
        prompts = prompts_of(job)
        ids = prompts.ids([dataset.validation.instances[row].text for row in picked])
        written: dict[int, Any] = {}
        network.eval()
        for batch in length_batches([len(row) for row in ids]):
            job.pulse.beat()
            found = write(network.encoder, writing, pad([ids[row] for row in batch], writing.pad))
            written.update(zip(batch, map(prompts.written, found), strict=True))
    answers = task.decode(dataset.contract, [written[row] for row in range(count)])
    outcomes = task.outcomes(answers, [dataset.validation.values[row] for row in picked])
    named = {metric.name: metric.compute(outcomes) for metric in learning_metrics_of(task.kind)}
    decisive = job.judge.metric.advantage(named[job.judge.metric.name], 0.0)
    return Scores({**named, **before.named}, (decisive, -before.loss)), count


def _need(network: Writer, opened: Opened, longest: int, job: Job) -> Need:
    need, writing = need_of(network, opened, longest, job.device), writing_in(job)
    logits = _A_LOGIT * min(longest, writing.max_new_tokens) * job.dataset.contract.width
    return replace(need, a_text=need.a_text + logits)
