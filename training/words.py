"""A network without an encoder: which pieces of words a text has, weighted by how rare they are (TF-IDF)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack
from torch import nn

from training.data import Tokens
from training.network import TokenNetwork

MIN_TEXTS = 2
"""What only one text has tells nothing of others."""


class WordCounts(TokenNetwork):
    """Token ids and mask, int64 [rows, tokens] -> outputs, float32 [rows, width], by how often which occur.

    A token that occurs n times weighs (1 + ln n) times its rarity; each text's weights have length 1.
    """

    column: torch.Tensor
    rarity: torch.Tensor

    def __init__(
        self, column: NDArray[np.int64], rarity: NDArray[np.float32], head: nn.Module, features: int = 0
    ) -> None:
        """`column`, [vocabulary], says where a token counts; `rarity`, [columns], is 0 where none does."""
        super().__init__()
        self.head = head
        self.features = features
        self.register_buffer("column", torch.from_numpy(column))
        self.register_buffer("rarity", torch.from_numpy(rarity))

    def read(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Weights of the text's tokens, float32 [rows, columns]."""
        counts = torch.zeros(input_ids.shape[0], len(self.rarity), dtype=torch.float32)
        counts = counts.scatter_add(1, self.column[input_ids], attention_mask.float())
        weights = (1 + counts.clamp(min=1).log()) * (counts > 0) * self.rarity
        return weights / weights.square().sum(1, keepdim=True).sqrt().clamp(min=1e-12)


def count_words(
    tokens: Tokens, rows: int, vocabulary: int, most: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Columns and rarities for `WordCounts`, from the first `rows` texts of `tokens`.

    There are `most` columns or fewer. Token ids are below `vocabulary`.

    Those that most texts have are kept; column 0 is for all others. A rarity is ln((1 + rows) / (1 + texts
    that have it)) + 1, as in scikit-learn's TfidfTransformer.
    """
    texts = np.zeros(vocabulary, dtype=np.int64)
    for ids in tokens.ids[:rows]:
        texts[np.unique(ids)] += 1
    kept = np.argsort(-texts, kind="stable")[:most]
    kept = np.sort(kept[texts[kept] >= MIN_TEXTS])
    column = np.zeros(vocabulary, dtype=np.int64)
    column[kept] = np.arange(1, len(kept) + 1)
    rarity = np.log((1 + rows) / (1 + texts[kept])) + 1
    return column, np.concatenate([[0.0], rarity]).astype(np.float32)


def weights_of(network: WordCounts, tokens: Tokens) -> csr_matrix:
    """What `network` makes of every row, float32 [rows, columns + features], most of it zero."""
    column, rarity = network.column.numpy(), network.rarity.numpy()
    parts = []
    for ids in tokens.ids:
        columns, counts = np.unique(column[ids], return_counts=True)
        weights = (1 + np.log(counts)) * rarity[columns]
        parts.append((columns, weights / max(1e-12, float(np.linalg.norm(weights)))))
    ends = np.cumsum([0, *(len(columns) for columns, _ in parts)])
    values = np.concatenate([weights for _, weights in parts]).astype(np.float32)
    indices = np.concatenate([columns for columns, _ in parts])
    words = csr_matrix((values, indices, ends), shape=(len(parts), len(rarity)))
    if tokens.features is None:
        return words
    return csr_matrix(hstack([words, csr_matrix(tokens.features)]))
