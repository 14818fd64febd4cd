"""Weights of words: the network's, those that a model is fitted on, and scikit-learn's are the same."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.feature_extraction.text import TfidfTransformer
from torch import nn

from training.data import Tokens
from training.words import WordCounts, count_words, weights_of

VOCABULARY = 30
RANDOM = np.random.default_rng(3)
TOKENS = Tokens(
    tuple(RANDOM.integers(1, VOCABULARY - 2, RANDOM.integers(1, 20)).astype(np.int32) for _ in range(40)), 0
)


def test_the_network_weighs_words_as_what_a_model_is_fitted_on() -> None:
    network = WordCounts(*count_words(TOKENS, 30, VOCABULARY, 100), nn.Identity())
    batch = TOKENS.batch(np.arange(40))
    with torch.inference_mode():
        found = network(batch.input_ids, batch.attention_mask).numpy()
    np.testing.assert_allclose(found, weights_of(network, TOKENS).toarray(), atol=1e-6)
    assert found.shape == (40, len(network.rarity))


def test_the_weights_are_those_of_scikit_learn() -> None:
    counts = np.array([np.bincount(ids, minlength=VOCABULARY) for ids in TOKENS.ids])
    often = (counts > 0).sum(0) >= 2
    wanted = TfidfTransformer(sublinear_tf=True).fit_transform(counts[:, often]).toarray()
    network = WordCounts(*count_words(TOKENS, 40, VOCABULARY, 100), nn.Identity())
    found = weights_of(network, TOKENS).toarray()
    np.testing.assert_allclose(found[:, 1:], wanted, atol=1e-6)
    assert not found[:, 0].any(), "what is rare, or was never seen, weighs nothing"


def test_the_words_that_most_texts_have_are_kept() -> None:
    column, rarity = count_words(TOKENS, 40, VOCABULARY, 5)
    assert len(rarity) == 6
    texts = np.array([sum(token in ids for ids in TOKENS.ids) for token in range(VOCABULARY)])
    assert texts[column > 0].min() >= np.sort(texts[column == 0])[-1]
