"""A network without an encoder that reads characters, by themselves and two or three together.

No base model has to know the language: what a text is made of is learnt from the training rows. Runs of
characters are told apart by a hash (Weinberger et al. 2009, "Feature Hashing for Large Scale Multitask
Learning"): two runs may share a place, which costs little where there are many more places than runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import WordLevel
from torch.nn.functional import pad

from training.data import Tokens
from training.words import WordCounts

RUNS = 3
"""Characters of the longest run."""
PER_TOKEN = 4
"""Characters that are read for each token of `train.max_tokens`."""
_MOST_CHARACTERS = 20_000
_UNKNOWN, _PADDING = "[UNK]", "[PAD]"
_BUCKETS = 1 << 17
"""Places for runs of each length."""
_FACTOR = 1_000_003
"""Of the hash: an odd prime, so that the places of neighbours lie far apart."""


def character_tokenizer(texts: Sequence[str]) -> Tokenizer:
    """A tokenizer whose tokens are the characters of `texts`, in small letters and in Unicode NFKC."""
    normal = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    counts: dict[str, int] = {}
    for text in texts:
        for character in normal.normalize_str(text):
            counts[character] = counts.get(character, 0) + 1
    known = sorted(counts, key=lambda character: (-counts[character], character))[:_MOST_CHARACTERS]
    vocabulary = {word: number for number, word in enumerate((_PADDING, _UNKNOWN, *known))}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token=_UNKNOWN))
    tokenizer.normalizer = normal
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    return tokenizer


class CharacterCounts(WordCounts):
    """Ids of characters and mask, int64 [rows, characters] -> outputs, by how often which runs occur."""

    def read(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Weights of the text's runs, float32 [rows, columns]."""
        length = input_ids.shape[1]
        ids, mask = (pad(tensor, (0, RUNS - 1)) for tensor in (input_ids, attention_mask))
        runs, valid = [input_ids], [attention_mask]
        for size in range(2, RUNS + 1):
            place, there = torch.zeros_like(input_ids), torch.ones_like(attention_mask)
            for behind in range(size):
                place = place * _FACTOR + ids[:, behind : behind + length]
                there = there * mask[:, behind : behind + length]
            runs.append(self._first(size) + place.remainder(_BUCKETS))
            valid.append(there)
        return super().read(torch.cat(runs, dim=1), torch.cat(valid, dim=1))

    def _first(self, size: int) -> int:
        """The number of the first place for runs of `size` characters."""
        return len(self.column) - (RUNS - size + 1) * _BUCKETS


def places(characters: int) -> int:
    """How many different ids runs have, where there are so many `characters`."""
    return characters + (RUNS - 1) * _BUCKETS


def runs_of(tokens: Tokens, characters: int) -> Tokens:
    """`tokens` of characters with the ids of all runs of them, as `CharacterCounts` has them."""
    return replace(tokens, ids=tuple(_runs(ids.astype(np.int64), characters) for ids in tokens.ids))


def _runs(ids: NDArray[np.int64], characters: int) -> NDArray[np.int32]:
    runs = [ids]
    for size in range(2, RUNS + 1):
        if len(ids) < size:
            break
        place = np.zeros(len(ids) - size + 1, dtype=np.int64)
        for behind in range(size):
            place = place * _FACTOR + ids[behind : len(ids) - size + 1 + behind]
        runs.append(characters + (size - 2) * _BUCKETS + place % _BUCKETS)
    return np.concatenate(runs).astype(np.int32)
