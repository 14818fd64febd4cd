"""How long texts are, and which are unusual among others."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from lakeloop.cleaning.length import lengths, outliers
from lakeloop.spec.clean import TextLength


def test_words_and_characters_are_those_of_a_reader() -> None:
    texts = pa.array(["  one\u00a0two\nthree ", "", None, "\U0001f600 \u4f60\u597d"])
    assert lengths(texts, "words").tolist() == [3, 0, 0, 2]
    assert lengths(texts, "characters").tolist() == [13, 0, 0, 4]
    assert lengths(pa.chunked_array([texts, texts]), "words").tolist() == [3, 0, 0, 2] * 2


def test_few_unusual_texts_are_found_whatever_their_size_and_do_not_hide_each_other() -> None:
    usual = np.random.default_rng(3).lognormal(4, 0.5, 2000).astype(np.int64)
    found = outliers(np.concatenate([usual, [0, 5000, 10**7, 10**7]]), 4)
    assert found[-4:].all()
    assert found[:-4].mean() < 0.001


@pytest.mark.parametrize("given", [[], [7], [10] * 50 + [11]])
def test_where_all_are_alike_nothing_is_unusual(given: list[int]) -> None:
    assert not outliers(np.array(given, dtype=np.int64), 4).any()


def test_a_request_is_measured_as_rows_are() -> None:
    words = TextLength(unit="words", min=2, max=3)
    assert [words.leaves_out(text) for text in ("one", "one two", "a b c", "a b c d")] == [
        True, False, False, True,
    ]  # fmt: skip
    assert TextLength(min=3).leaves_out(" ab ")
    assert not TextLength().leaves_out("")
