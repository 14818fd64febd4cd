"""A linear model on the sentence embeddings of the untouched base model: what other methods have to beat."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lakeloop.inference.instances import inputs_of
from lakeloop.spec import methods as spec
from training.data import NO_TARGET
from training.embed import cache_key, embed_texts, read_cached, write_cached
from training.extras.objective import row_weights
from training.job import Job, Trained
from training.methods.base import Method
from training.network import Network, load_encoder
from training.tasks.base import Inputs, Linear, RowWeights, TrainingTask
from training.validation import Scores

Embedded: TypeAlias = NDArray[np.float32] | list[NDArray[np.float32]]
"""What the last layer reads: float32 [rows, inputs], or of each row [tokens, inputs]."""


def head(section: spec.Head) -> Method:
    return Head(section.regularisation, section.standardise)


@dataclass(frozen=True)
class Head:
    """Fits the last layer alone, without gradients."""

    strength: float | None = None
    """Of the regularisation; None: the best of the task's own."""
    standardise: bool = False

    def train(self, job: Job, task: TrainingTask) -> Trained:
        network = self._network(job, task)
        fitted = self._fit(job, task, embedded(job, network))
        fitted.linear.put_into(network.head)
        job.tracker.log({f"validation/{name}": value for name, value in fitted.scores.named.items()})
        return Trained(network, fitted.scores, {"regularisation": fitted.regularisation})

    def shared(self, job: Job, task: TrainingTask) -> Embedded:
        return embedded(job, self._network(job, task))

    def score(self, job: Job, task: TrainingTask, shared: Embedded) -> Scores:
        return self._fit(job, task, shared).scores

    def _network(self, job: Job, task: TrainingTask) -> Network:
        encoder = load_encoder(job.base, job.config.train.max_tokens)
        job.suit(encoder)
        return task.network(encoder, job.dataset.reads.width).to(job.device.target)

    def _fit(self, job: Job, task: TrainingTask, known: Embedded) -> Fitted:
        weights = row_weights_of(job)
        asked = None if self.strength is None else (task.regularisation_of(self.strength),)
        with job.timed("fit"):
            if not self.standardise:
                return fit_embedded(job, task, known, asked, weights)
            train = np.concatenate([np.atleast_2d(row) for row in known[: len(job.dataset.train)]])
            mean, spread = train.mean(axis=0), train.std(axis=0)
            spread[spread == 0] = 1
            scaled: Embedded = (
                (known - mean) / spread
                if isinstance(known, np.ndarray)
                else [(row - mean) / spread for row in known]
            )
            fitted = fit_embedded(job, task, scaled, asked, weights)
            weight = fitted.linear.weight / spread
            return replace(fitted, linear=Linear(weight, fitted.linear.bias - weight @ mean))


@dataclass(frozen=True)
class Fitted:
    """A linear model, and how it does on the validation rows."""

    linear: Linear
    regularisation: float
    scores: Scores


def embedded(job: Job, network: Network) -> Embedded:
    """What the last layer reads of the training rows, then of the validation rows."""
    if not job.dataset.contract.per_token:
        return embeddings_of(job, network)
    tokens = job.tokenise()
    with job.timed("embed"):
        return list(embed_texts(network, tokens, job.device))


def row_weights_of(job: Job) -> RowWeights | None:
    """How much each training row counts, as `train.class_weights` says; None: all the same."""
    return row_weights(job.config.train, job.dataset.contract.names, job.dataset.train.targets)


def fit_embedded(
    job: Job,
    task: TrainingTask,
    known: Embedded,
    asked: Sequence[float] | None = None,
    weights: RowWeights | None = None,
) -> Fitted:
    """Fit a linear model with each regularisation that is `asked` for; returns the best, see `best_of`.

    Of tokens, those that have a right answer are learnt.
    """
    if isinstance(known, np.ndarray):
        return fit_head(job, task, known, asked, weights)
    tokens, rows = job.tokenise(), len(job.dataset.train)
    inputs, targets = np.concatenate(known[:rows]), np.concatenate(tokens.targets[:rows])
    judged = targets != NO_TARGET

    def scored(linear: Linear) -> Scores:
        return job.judge.score(task, [linear.of(row) for row in known[rows:]])

    return best_of(task, inputs[judged], targets[judged], scored, asked)


def fit_head(
    job: Job,
    task: TrainingTask,
    inputs: Inputs,
    asked: Sequence[float] | None = None,
    weights: RowWeights | None = None,
) -> Fitted:
    """The same of whole rows: `inputs` are float32 [rows, hidden], of training, then of validation rows.

    `weights` say how much each training row counts, None: all the same.
    """
    rows = len(job.dataset.train)

    def scored(linear: Linear) -> Scores:
        return job.judge.score(task, linear.of(inputs[rows:]))

    return best_of(task, inputs[:rows], job.dataset.train.targets, scored, asked, weights)


def best_of(
    task: TrainingTask,
    inputs: Inputs,
    targets: NDArray[Any],
    scored: Callable[[Linear], Scores],
    asked: Sequence[float] | None = None,
    weights: RowWeights | None = None,
) -> Fitted:
    """Of linear maps of `inputs` to `targets`, each of another regularisation, that of the smallest loss.

    The regularisations are those that are `asked` for, else the task's own. The loss on the validation rows
    decides because a few hundred rows seldom tell heads apart by a score, and because answers are made of the
    outputs, which the loss measures.
    """
    fits = []
    for regularisation in asked or task.regularisations:
        linear = task.fit_linear(inputs, targets, regularisation, weights)
        fits.append(Fitted(linear, regularisation, scored(linear)))
    return min(fits, key=lambda fit: fit.scores.loss)


def embeddings_of(job: Job, network: Network) -> NDArray[np.float32]:
    """What the last layer reads of the training rows, then of the validation rows, float32 [rows, inputs]."""
    texts = _text_embeddings(job, network)
    features = job.dataset.reads.numbers(job.dataset.instances)
    return texts if features is None else np.concatenate([texts, features], axis=1)


def _text_embeddings(job: Job, network: Network) -> NDArray[np.float32]:
    texts = inputs_of(job.dataset.instances, job.dataset.reads)
    folder = job.config.cache / "embeddings"
    key = cache_key(job.base, texts, job.config.train.max_tokens, job.device)
    if (cached := read_cached(folder, key, len(texts))) is not None:
        return cached
    tokens = job.tokenise()
    with job.timed("embed"):
        embeddings = embed_texts(network, tokens, job.device)
    write_cached(folder, key, embeddings)
    return embeddings
