"""A linear model on the sentence embeddings of the untouched base model: what other methods have to beat."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lakeloop.inference.instances import inputs_of
from lakeloop.spec import methods as spec
from training.data import NO_TARGET
from training.embed import cache_key, embed_texts, read_cached, write_cached
from training.job import Job, Trained
from training.methods.base import Method
from training.network import Network, load_encoder
from training.tasks.base import Inputs, Linear, TrainingTask
from training.validation import Scores


def head(_section: spec.Head) -> Method:
    return Head()


class Head:
    """Fits the last layer alone, without gradients."""

    def train(self, job: Job, task: TrainingTask) -> Trained:
        encoder = load_encoder(job.base, job.config.train.max_tokens)
        job.suit(encoder)
        network = task.network(encoder, job.dataset.reads.width).to(job.device.target)
        if job.dataset.contract.per_token:
            fitted = fit_tagging_head(job, task, network)
        else:
            embeddings = embeddings_of(job, network)
            with job.timed("fit"):
                fitted = fit_head(job, task, embeddings)
        fitted.linear.put_into(network.head)
        job.tracker.log({f"validation/{name}": value for name, value in fitted.scores.named.items()})
        return Trained(network, fitted.scores, {"regularisation": fitted.regularisation})


@dataclass(frozen=True)
class Fitted:
    """A linear model, and how it does on the validation rows."""

    linear: Linear
    regularisation: float
    scores: Scores


def fit_head(job: Job, task: TrainingTask, inputs: Inputs) -> Fitted:
    """Fit a linear model with each regularisation of the task; returns that of the smallest validation loss.

    The loss decides because a few hundred rows seldom tell heads apart by a score, and because answers are
    made of the outputs, which the loss measures. `inputs` are float32 [rows, hidden], of the training
    rows, then of the validation rows.
    """
    rows = len(job.dataset.train)

    def scored(linear: Linear) -> Scores:
        return job.judge.score(task, linear.of(inputs[rows:]))

    return best_of(task, inputs[:rows], job.dataset.train.targets, scored)


def best_of(
    task: TrainingTask, inputs: Inputs, targets: NDArray[Any], scored: Callable[[Linear], Scores]
) -> Fitted:
    """The linear map of `inputs` to `targets` whose regularisation has the smallest validation loss."""
    fits = []
    for regularisation in task.regularisations:
        linear = task.fit_linear(inputs, targets, regularisation)
        fits.append(Fitted(linear, regularisation, scored(linear)))
    return min(fits, key=lambda fit: fit.scores.loss)


def fit_tagging_head(job: Job, task: TrainingTask, network: Network) -> Fitted:
    """The same where outputs are of each token: fitted on the tokens that have a right answer."""
    tokens, rows = job.tokenise(), len(job.dataset.train)
    with job.timed("embed"):
        hidden = embed_texts(network, tokens, job.device)
    inputs, targets = np.concatenate(hidden[:rows]), np.concatenate(tokens.targets[:rows])
    judged = targets != NO_TARGET

    def scored(linear: Linear) -> Scores:
        return job.judge.score(task, [linear.of(row) for row in hidden[rows:]])

    return best_of(task, inputs[judged], targets[judged], scored)


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
