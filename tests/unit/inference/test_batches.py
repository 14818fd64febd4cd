"""Batches hold texts of similar length, every text once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, pairwise

import numpy as np
import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from lakeloop.inference.batches import (
    CALL_TOKENS,
    MAX_BATCH,
    MAX_BATCH_TOKENS,
    MAX_LENGTH_RATIO,
    cheapest_batches,
    length_batches,
    pad,
    pad_id_of,
)


def test_length_batches_deal_every_text_once_with_little_padding() -> None:
    rng = np.random.default_rng(17)
    lengths = rng.integers(0, 129, size=1000).tolist()

    batches = list(length_batches(lengths))

    assert sorted(index for batch in batches for index in batch) == list(range(1000))
    for batch in batches:
        sizes = [lengths[index] for index in batch]
        assert len(batch) <= MAX_BATCH
        assert max(sizes) <= MAX_LENGTH_RATIO * max(1, min(sizes))


def cost(lengths: Sequence[int], batches: Sequence[Sequence[int]]) -> int:
    return sum(CALL_TOKENS + len(batch) * max(lengths[index] for index in batch) for batch in batches)


def test_the_cheapest_batches_of_an_encoder_have_no_more_tokens_than_it_reads_well() -> None:
    lengths = [*np.random.default_rng(17).integers(1, 257, size=500).tolist(), *[8] * 100, 900]

    batches = cheapest_batches(lengths)

    assert sorted(index for batch in batches for index in batch) == list(range(601))
    assert [600] in batches, "a text that has more is a batch of its own"
    for batch in batches:
        assert len(batch) <= MAX_BATCH
        assert len(batch) * max(lengths[index] for index in batch) <= MAX_BATCH_TOKENS or batch == [600]
    assert cheapest_batches([]) == []


def test_no_other_way_to_deal_texts_in_order_of_their_length_costs_less() -> None:
    rng = np.random.default_rng(17)
    for _ in range(50):
        lengths = sorted(rng.integers(1, 40, size=9).tolist())
        cuts = [(0, *chosen, 9) for n in range(9) for chosen in combinations(range(1, 9), n)]
        ways = [[range(a, b) for a, b in pairwise(cut)] for cut in cuts]

        assert cost(lengths, cheapest_batches(lengths)) == min(cost(lengths, way) for way in ways)


def test_rows_are_padded_to_the_longest_and_the_mask_says_where_text_is() -> None:
    padded = pad([[5, 6, 7], [8], []], pad_id=2)

    assert padded.input_ids.tolist() == [[5, 6, 7], [8, 2, 2], [2, 2, 2]]
    assert padded.attention_mask.tolist() == [[1, 1, 1], [1, 0, 0], [1, 0, 0]], "no token: one of padding"
    assert padded.width == 3
    assert pad([[]], pad_id=0).width == 1


@pytest.mark.parametrize(
    ("words", "padding", "expected"),
    [
        ({"[PAD]": 3, "a": 0}, None, 3),
        ({"<pad>": 1, "a": 0}, None, 1),
        ({"a": 0}, None, 0),
        ({"[PAD]": 3}, 7, 7),
    ],
)
def test_the_id_of_padding_is_the_tokenizers_own_or_has_a_usual_name(
    words: dict[str, int], padding: int | None, expected: int
) -> None:
    tokenizer = Tokenizer(WordLevel(words, unk_token="a"))
    if padding is not None:
        tokenizer.enable_padding(pad_id=padding, pad_token="[PAD]")

    assert pad_id_of(tokenizer) == expected
