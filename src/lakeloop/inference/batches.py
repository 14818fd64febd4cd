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
CALL_TOKENS = 7
"""What a call of an encoder costs beside its tokens, in tokens: 1.2 ms, of 170 us a token (all-MiniLM-L6 on
one core of an Intel Xeon). Weights are read from memory once a call, which takes as long as so many tokens
for larger networks, too."""
MAX_LENGTH_RATIO = 1.5
"""Longest text of a batch to its shortest, in tokens, for networks that write: a call of these costs as many
times more as they write tokens."""


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


def cheapest_batches(lengths: Sequence[int]) -> list[list[int]]:
    """Deal texts of these `lengths` (tokens) into the batches that cost an encoder least; lists of indices.

    Each index comes exactly once, the shortest texts first. No batch has more than `MAX_BATCH` texts, nor,
    with padding, more than `MAX_BATCH_TOKENS`, unless it is of one text. A batch costs `CALL_TOKENS` and its
    tokens.
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    costs, starts = [0], [0]  # of the best batches of so many texts; where the last of them starts
    for end, index in enumerate(order, 1):
        longest = lengths[index]
        least, best = costs[-1] + CALL_TOKENS + longest, end - 1
        for start in range(end - 2, max(-1, end - MAX_BATCH - 1), -1):
            tokens = (end - start) * longest
            # A text that is shorter by more than a call costs is cheaper read in another one.
            if tokens > MAX_BATCH_TOKENS or longest - lengths[order[start]] > CALL_TOKENS:
                break
            if (cost := costs[start] + CALL_TOKENS + tokens) < least:
                least, best = cost, start
        costs.append(least)
        starts.append(best)
    batches: list[list[int]] = []
    end = len(order)
    while end:
        batches.append(order[starts[end] : end])
        end = starts[end]
    return batches[::-1]


def length_batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Deal texts of these `lengths` (tokens) into few batches with little padding; yields lists of indices.

    Each index comes exactly once. No batch has more than `MAX_BATCH` texts, nor a longest text of more
    than `MAX_LENGTH_RATIO` times its shortest.
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    batch: list[int] = []
    for index in order:
        if batch:
            shortest = max(1, lengths[batch[0]])
            if len(batch) == MAX_BATCH or lengths[index] > MAX_LENGTH_RATIO * shortest:
                yield batch
                batch = []
        batch.append(index)
    if batch:
        yield batch
