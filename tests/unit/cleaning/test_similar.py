"""Texts that are much like an earlier one are found, and no others."""

from __future__ import annotations

import random
from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakeloop.cleaning.similar import similar

WORDS = [f"word{number}" for number in range(500)]


def jaccard(one: str, other: str) -> float:
    """The definition, without a hash."""
    sets = []
    for text in (one, other):
        words = text.split()
        sets.append(set(pairwise(words)) if len(words) > 1 else {(word,) for word in words})
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1]) if sets[0] | sets[1] else 0.0


def told(texts: list[str | None], least: float = 0.7) -> list[bool]:
    return [bool(each) for each in similar(pa.array(texts, pa.string()), least)]


def test_the_earliest_of_texts_that_are_alike_is_none_and_the_others_are() -> None:
    first = "the card that you sent me last week has not arrived at my new home yet"
    texts = [first, "something else altogether", first.replace("week", "month"), first.upper() + "!!"]
    assert told(texts) == [False, False, True, True]


@pytest.mark.parametrize(
    "texts",
    [
        ["where is my card", "where is my money"],
        ["yes", "no"],
        ["", ""],
        [None, None],
        ["!!!", "..."],
        ["one two", "two one"],
    ],
)
def test_short_texts_that_differ_in_a_word_and_texts_without_words_are_not_alike(texts: list[str]) -> None:
    assert told(texts) == [False, False]


def test_texts_of_one_word_are_alike_when_it_is_the_same() -> None:
    assert told(["Hello", "hello!", "hell"]) == [False, True, False]


def test_letters_without_blanks_between_words_count_each() -> None:
    text = "我上周申请的银行卡到现在还没有寄到我的新家请帮我查一下"
    assert told([text, text.replace("上周", "上月"), "今天天气很好我们去公园散步吧"]) == [False, True, False]


def test_of_planted_pairs_nearly_all_are_found_and_nothing_else() -> None:
    draw = random.Random(3)
    base = [" ".join(draw.choices(WORDS, k=30)) for _ in range(2000)]
    changed = []
    for text in base[:500]:
        words = text.split()
        for _ in range(2):
            words[draw.randrange(30)] = "other"
        changed.append(" ".join(words))
    found = told([*base, *changed, None], 0.7)
    wanted = [jaccard(one, other) >= 0.7 for one, other in zip(base, changed, strict=False)]
    assert sum(wanted) > 300
    assert sum(found[:2000]) == 0
    assert found[2000:2500].count(True) >= 0.98 * sum(wanted)
    assert all(wanted[place] for place, each in enumerate(found[2000:2500]) if each), "no pair below"


@given(st.lists(st.lists(st.sampled_from("abcde"), max_size=8).map(" ".join), max_size=12))
@settings(deadline=None)
def test_what_is_called_similar_is_so_by_the_definition(texts: list[str]) -> None:
    for place, each in enumerate(told(list(texts), 0.5)):
        alike = any(jaccard(texts[place], earlier) >= 0.5 for earlier in texts[:place])
        assert alike or not each
        if texts[place] and texts[place] in texts[:place]:
            assert each
