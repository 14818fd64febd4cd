"""Texts of similar length together: padding, the id of padding, and batches with little of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MAX_BATCH = 32
"""Texts in one call of the model; more gain nothing on a CPU and cost memory."""
MAX_BATCH_TOKENS = 512
"""Tokens in one call of an encoder, with padding. One core reads as many a second in batches of 512 as of
less, a quarter fewer in batches of 8192, which leave its cache; and others wait for the end of a call."""
MAX_LENGTH_RATIO = 1.5
"""Longest text of a batch to its shortest, in tokens. One padded batch of mixed lengths is slower than
single calls; split at this ratio it is twice as fast as them."""


@dataclass(frozen=True)
class Padded:
    """Token ids of some texts, padded to the longest: int64 [rows, tokens], mask 1 for text."""

    input_ids: NDArray[np.int64]
    attention_mask: NDArray[np.int64]
    features: NDArray[np.float32] | None = None
    """What is read beside the texts, [rows, width]; None where nothing is."""

    @property
    def width(self) -> int:
        return int(self.input_ids.shape[1])


def pad(rows: Sequence[Sequence[int] | NDArray[np.int32]], pad_id: int, least: int = 1) -> Padded:
    """One batch of `rows`, token ids of any lengths; `least` tokens wide, or more.

    A row without tokens is read as one of padding: attention to nothing at all gives no number.
    """
    width = max(least, *map(len, rows))
    ids = np.full((len(rows), width), pad_id, dtype=np.int64)
    mask = np.zeros((len(rows), width), dtype=np.int64)
    for line, row in enumerate(rows):
        ids[line, : len(row)] = row
        mask[line, : max(1, len(row))] = 1
    return Padded(ids, mask)


def pad_id_of(tokenizer: Tokenizer) -> int:
    """The id that the tokenizer pads with, by its own settings, else by the usual names, else 0."""
    padding = tokenizer.padding
    if padding and padding["pad_id"] is not None:
        return int(padding["pad_id"])
    named = (tokenizer.token_to_id(name) for name in ("[PAD]", "<pad>"))
    return next((number for number in named if number is not None), 0)


def length_batches(lengths: Sequence[int], most_tokens: int | None = None) -> Iterator[list[int]]:
    """Deal texts of these `lengths` (tokens) into batches with little padding; yields lists of indices.

    Each index comes exactly once. No batch has more than `MAX_BATCH` texts, nor a longest text of more
    than `MAX_LENGTH_RATIO` times its shortest; nor, with padding, more than `most_tokens`, unless it is of
    one text.
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    batch: list[int] = []
    for index in order:
        if batch:
            shortest = max(1, lengths[batch[0]])
            full = most_tokens is not None and lengths[index] * (len(batch) + 1) > most_tokens
            if full or len(batch) == MAX_BATCH or lengths[index] > MAX_LENGTH_RATIO * shortest:
                yield batch
                batch = []
        batch.append(index)
    if batch:
        yield batch
