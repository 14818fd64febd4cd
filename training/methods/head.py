"""A linear model on the sentence embeddings of the untouched base model: what other methods have to beat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lakeloop.spec import methods as spec
from training.embed import cache_key, embed_texts, read_cached, write_cached
from training.job import Job, Trained
from training.methods.base import Method
from training.network import Network, load_encoder
from training.tasks.base import Inputs, Linear, TrainingTask
from training.validation import Scores


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
        fitted = self._fit(job, task, embeddings_of(job, network))
        fitted.linear.put_into(network.head)
        job.tracker.log({f"validation/{name}": value for name, value in fitted.scores.named.items()})
        return Trained(network, fitted.scores, {"regularisation": fitted.regularisation})

    def shared(self, job: Job, task: TrainingTask) -> NDArray[np.float32]:
        return embeddings_of(job, self._network(job, task))

    def score(self, job: Job, task: TrainingTask, shared: NDArray[np.float32]) -> Scores:
        return self._fit(job, task, shared).scores

    def _network(self, job: Job, task: TrainingTask) -> Network:
        encoder = load_encoder(job.base, job.config.train.max_tokens)
        job.suit(encoder)
        return task.network(encoder).to(job.device.target)

    def _fit(self, job: Job, task: TrainingTask, embeddings: NDArray[np.float32]) -> Fitted:
        asked = None if self.strength is None else (task.regularisation_of(self.strength),)
        with job.timed("fit"):
            if not self.standardise:
                return fit_head(job, task, embeddings, asked)
            train = embeddings[: len(job.dataset.train)]
            mean, spread = train.mean(axis=0), train.std(axis=0)
            spread[spread == 0] = 1
            fitted = fit_head(job, task, (embeddings - mean) / spread, asked)
            weight = fitted.linear.weight / spread
            return replace(fitted, linear=Linear(weight, fitted.linear.bias - weight @ mean))


@dataclass(frozen=True)
class Fitted:
    """A linear model, and how it does on the validation rows."""

    linear: Linear
    regularisation: float
    scores: Scores


def fit_head(
    job: Job, task: TrainingTask, inputs: Inputs, regularisations: Sequence[float] | None = None
) -> Fitted:
    """Fit a linear model with each regularisation, by default of the task's own; returns the best.

    That is the one of the smallest validation loss.

    The loss decides because a few hundred rows seldom tell heads apart by a score, and because answers are
    made of the outputs, which the loss measures. `inputs` are float32 [rows, hidden], of the training
    rows, then of the validation rows.
    """
    rows = len(job.dataset.train)
    fits = []
    for regularisation in regularisations or task.regularisations:
        linear = task.fit_linear(inputs[:rows], job.dataset.train.targets, regularisation)
        scores = job.judge.score(task, linear.of(inputs[rows:]))
        fits.append(Fitted(linear, regularisation, scores))
    return min(fits, key=lambda fit: fit.scores.loss)


def embeddings_of(job: Job, network: Network) -> NDArray[np.float32]:
    """Embeddings of the training rows, then of the validation rows, float32 [rows, hidden]."""
    texts = job.dataset.train.texts + job.dataset.validation.texts
    folder = job.config.cache / "embeddings"
    key = cache_key(job.base, texts, job.config.train.max_tokens, job.device)
    if (cached := read_cached(folder, key, len(texts))) is not None:
        return cached
    tokens = job.tokenise()
    with job.timed("embed"):
        embeddings = embed_texts(network, tokens, job.device)
    write_cached(folder, key, embeddings)
    return embeddings
