"""Zero-shot: an answer for each text by the description that lies nearest to it; nothing is trained.

The linear layer holds the embeddings of the descriptions, so that its outputs are cosines but for the length
of the text's own embedding, which is the same for all answers (Chang et al. 2008, "dataless"; with sentence
embeddings as here: Reimers and Gurevych 2019). How sure an answer is, one factor decides: that with the
smallest loss on the validation rows, the only use that is made of right answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import nn

from lakeloop.spec import methods as spec
from training.characters import runs_of
from training.data import tokenise
from training.embed import embed_texts
from training.generation.fit import as_it_is
from training.job import Job, Trained
from training.methods.base import Method
from training.methods.classical import MOST_WORDS, count_characters
from training.network import TokenNetwork, load_encoder
from training.tasks.base import Inputs, Linear, TrainingTask
from training.words import weights_of

FACTORS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
"""That the cosines are multiplied by, before softmax."""


def zero_shot(section: spec.ZeroShot) -> Method:
    return ZeroShot(section.descriptions, section.features)


class ZeroShot:
    """Puts descriptions into the last layer."""

    def __init__(self, descriptions: Mapping[str, str], features: str) -> None:
        self._descriptions, self._features = descriptions, features

    def train(self, job: Job, task: TrainingTask) -> Trained:
        if job.dataset.contract.writing is not None:
            return as_it_is(job, task)
        described = [self._described(name) for name in job.dataset.contract.names]
        network, directions, texts = (
            _by_characters(job, described)
            if self._features == "characters"
            else _by_embeddings(job, task, described)
        )
        length = float(np.linalg.norm(texts, axis=1).mean()) if isinstance(texts, np.ndarray) else 1.0
        fits = []
        for factor in FACTORS:
            linear = _linear(directions * np.float32(factor / length))
            fits.append((job.judge.score(task, linear.of(texts)), factor, linear))
        scores, factor, linear = min(fits, key=lambda fit: fit[0].loss)
        network.head = nn.Linear(directions.shape[1], len(directions))
        linear.put_into(network.head)
        job.tracker.log({f"validation/{name}": value for name, value in scores.named.items()})
        return Trained(network, scores, {"factor": factor})

    def _described(self, name: str) -> str:
        return self._descriptions.get(name) or name.replace("_", " ")


Known: TypeAlias = tuple[TokenNetwork, NDArray[np.float32], Inputs]
"""A network, and what it knows of each description and of each validation row, float32 [.., width]; sparse
rows have length 1."""


def _by_embeddings(job: Job, task: TrainingTask, described: Sequence[str]) -> Known:
    encoder = load_encoder(job.base, job.config.train.max_tokens)
    job.suit(encoder)
    network = task.network(encoder, job.dataset.reads.width).to(job.device.target)
    directions = _unit(embed_texts(network, tokenise(job.tokenizer, described), job.device))
    with job.timed("embed"):
        rows = job.dataset.validation.instances
        return network, directions, embed_texts(network, tokenise(job.tokenizer, rows), job.device)


def _by_characters(job: Job, described: Sequence[str]) -> Known:
    network, weights = count_characters(job, MOST_WORDS)
    characters = job.tokenizer.get_vocab_size()
    runs = runs_of(tokenise(job.tokenizer, described), characters)
    return network, weights_of(network, runs).toarray(), weights[len(job.dataset.train) :]


def _linear(weight: NDArray[np.float32]) -> Linear:
    return Linear(weight, np.zeros(len(weight), dtype=np.float32))


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each row at length 1."""
    lengths: NDArray[np.float32] = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
