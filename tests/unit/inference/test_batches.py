"""Batches hold texts of similar length, every text once."""

from __future__ import annotations

import numpy as np
import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from lakeloop.inference.batches import MAX_BATCH, MAX_LENGTH_RATIO, length_batches, pad, pad_id_of


def test_length_batches_deal_every_text_once_with_little_padding() -> None:
    rng = np.random.default_rng(17)
    lengths = rng.integers(0, 129, size=1000).tolist()

    batches = list(length_batches(lengths))

    assert sorted(index for batch in batches for index in batch) == list(range(1000))
    for batch in batches:
        sizes = [lengths[index] for index in batch]
        assert len(batch) <= MAX_BATCH
        assert max(sizes) <= MAX_LENGTH_RATIO * max(1, min(sizes))


def test_a_batch_has_no_more_tokens_than_a_network_reads_well() -> None:
    lengths = np.random.default_rng(17).integers(1, 257, size=500).tolist()

    batches = list(length_batches([*lengths, 900], 512))

    assert sorted(index for batch in batches for index in batch) == list(range(501))
    assert [500] in batches, "a text that has more is a batch of its own"
    assert all(
        len(batch) * max(lengths[index] for index in batch) <= 512 for batch in batches if batch != [500]
    )


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
