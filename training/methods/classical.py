"""Classical models on words (TF-IDF) or on sentence embeddings: linear, forest, gradient boosting.

They are fitted by scikit-learn (Breiman 2001 for forests; boosting by histograms as LightGBM has it, Ke et
al. 2017) and become a layer of a network, so that they are saved, exported and served as all others are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, issparse
from torch import nn
from transformers import PreTrainedModel

from lakeloop.inference.encoders.reading import embedding
from lakeloop.spec import methods as spec
from training.characters import PER_TOKEN, CharacterCounts, character_tokenizer, places, runs_of
from training.data import tokenise
from training.job import Job, Trained
from training.methods.base import Method
from training.methods.head import embeddings_of, fit_head, row_weights_of
from training.network import Network, TokenNetwork, load_encoder
from training.tasks.base import Inputs, TrainingTask
from training.trees import Trees, as_trees
from training.validation import Scores
from training.words import WordCounts, count_words, weights_of

MOST_WORDS = 50_000
MOST_WORDS_IN_HISTOGRAMS = 2000
"""Boosting looks at every column of every row, zeros too."""


def classical(section: spec.Classical) -> Method:
    return Classical(section.features, section.model, section.trees)


class EmbeddingTrees(TokenNetwork):
    """An encoder, and trees on the mean of what it gives for a text's tokens."""

    def __init__(self, encoder: PreTrainedModel, trees: Trees, features: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.features = features
        self.head = trees

    def read(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return embedding(self.encoder, input_ids, attention_mask)


@dataclass(frozen=True)
class Classical:
    """Fits `model` on `features`."""

    features: str
    model: str
    trees: int

    def train(self, job: Job, task: TrainingTask) -> Trained:
        if self.features == "words":
            return self._on_words(job, task)
        if self.features == "characters":
            counts, weights = count_characters(job, self._most)
            counts.head, scores, details = self._fitted(job, task, weights)
            return Trained(counts, scores, {**details, "runs": len(counts.rarity) - 1})
        encoder = load_encoder(job.base, job.config.train.max_tokens)
        job.suit(encoder)
        network: TokenNetwork = task.network(encoder, job.dataset.reads.width).to(job.device.target)
        assert isinstance(network, Network)
        head, scores, details = self._fitted(job, task, embeddings_of(job, network))
        if isinstance(head, Trees):
            return Trained(EmbeddingTrees(encoder, head, network.features), scores, details)
        network.head = head
        return Trained(network, scores, details)

    @property
    def _most(self) -> int:
        """Columns at most."""
        return MOST_WORDS_IN_HISTOGRAMS if self.model == "boosting" else MOST_WORDS

    def _on_words(self, job: Job, task: TrainingTask) -> Trained:
        tokens = job.tokenise()
        vocabulary = 1 + max(job.tokenizer.get_vocab(with_added_tokens=True).values())
        column, rarity = count_words(tokens, len(job.dataset.train), vocabulary, self._most)
        network = WordCounts(column, rarity, nn.Identity(), job.dataset.reads.width)
        with job.timed("count words"):
            weights = weights_of(network, tokens)
        network.head, scores, details = self._fitted(job, task, weights)
        return Trained(network, scores, {**details, "words": len(rarity) - 1})

    def _fitted(
        self, job: Job, task: TrainingTask, inputs: Inputs
    ) -> tuple[nn.Linear | Trees, Scores, dict[str, float]]:
        """The last layer, how it does on the validation rows, and what was chosen."""
        with job.timed("fit"):
            if self.model == "linear":
                fitted = fit_head(job, task, inputs, weights=row_weights_of(job))
                layer = nn.Linear(inputs.shape[1], len(fitted.linear.bias))
                fitted.linear.put_into(layer)
                head: nn.Linear | Trees = layer
                scores, details = fitted.scores, {"regularisation": fitted.regularisation}
            else:
                trees, outputs = self._fit_trees(job, task, inputs)
                head, scores = trees, job.judge.score(task, outputs)
                details = {"depth": float(trees.depth)}
        job.tracker.log({f"validation/{name}": value for name, value in scores.named.items()})
        return head, scores, details

    def _fit_trees(self, job: Job, task: TrainingTask, inputs: Inputs) -> tuple[Trees, NDArray[np.float32]]:
        """Trees, and their outputs for the validation rows, float32 [rows, width]."""
        if self.model == "boosting":
            inputs = _dense(inputs)
        rows = len(job.dataset.train)
        model = task.ensemble(self.model, self.trees, job.config.train.seed)
        model.fit(inputs[:rows], job.dataset.train.targets, row_weights_of(job))
        validation = _dense(inputs[rows:])
        trees = as_trees(model, validation)
        return trees, trees.of(validation)


def count_characters(job: Job, most: int) -> tuple[CharacterCounts, csr_matrix]:
    """A network that reads characters, `most` columns wide or less, and what it makes of all rows.

    From here on the tokens of the job are characters.
    """
    job.tokenizer = character_tokenizer(job.dataset.train.texts)
    job.max_tokens = PER_TOKEN * job.config.train.max_tokens
    job.tokenizer.enable_truncation(job.max_tokens)
    characters = job.tokenizer.get_vocab_size()
    tokens = runs_of(tokenise(job.tokenizer, job.dataset.instances, job.dataset.reads), characters)
    with job.timed("count characters"):
        column, rarity = count_words(tokens, len(job.dataset.train), places(characters), most)
        network = CharacterCounts(column, rarity, nn.Identity(), job.dataset.reads.width)
        return network, weights_of(network, tokens)


def _dense(inputs: Inputs) -> NDArray[np.float32]:
    sparse: Any = inputs
    found: NDArray[np.float32] = sparse.toarray() if issparse(inputs) else inputs
    return found
