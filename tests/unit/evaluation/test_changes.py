"""Changed texts: what each change does, the same each time, and whom it leaves alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeloop.evaluation.changes import CHANGES, asked_again, with_typos, without_a_word, without_punctuation
from lakeloop.inference.predictor import Predictor
from lakeloop.tasks.reading import Instance
from tests.support.artifacts import make_artifact
from tests.support.small_loop import LABELS


def test_a_typo_swaps_two_letters_inside_a_word() -> None:
    changed = with_typos("some sports news of today")
    assert changed != "some sports news of today"
    assert sorted(changed) == sorted("some sports news of today")
    assert with_typos("an odd one 12345") == "an odd one 12345"
    assert with_typos("今天天气很好") != "今天天气很好"


def test_punctuation_goes_and_words_stay_apart() -> None:
    assert without_punctuation("Well, it's 3.5 %; (really)!") == "Well it s 3 5 really"
    assert without_punctuation("你好。世界。") == "你好 世界"
    assert without_punctuation("as  it was") == "as  it was"


def test_a_word_is_left_out_of_a_text_that_has_enough() -> None:
    changed = without_a_word("some sports news of today")
    assert len(changed.split()) == 4
    assert set(changed.split()) < {"some", "sports", "news", "of", "today"}
    assert without_a_word("sports news today") == "sports news today"
    assert len(without_a_word("今天天气很好").replace(" ", "")) == 5
    assert [change.name for change in CHANGES if not change.same_meaning] == ["a word left out"]


@given(st.text(max_size=60))
def test_a_change_is_the_same_each_time_and_keeps_places_where_it_says_so(text: str) -> None:
    for change in CHANGES:
        changed = change.apply(text)
        assert changed == change.apply(text)
        assert not change.keeps_places or len(changed) == len(text)


@pytest.fixture
def predictor(tmp_path: Path) -> Predictor:
    return Predictor(make_artifact(tmp_path / "model", LABELS).folder)


def test_rows_are_asked_that_a_change_changes_and_not_too_many(predictor: Predictor) -> None:
    rows = [Instance(f"sports {'!' if n % 2 else ''}") for n in range(1000)]
    found = {each.change: each for each in asked_again(predictor, rows, 1e-6)}
    assert set(found) == {"typos", "capital letters", "no punctuation"}  # too short to lack a word
    assert all(place % 2 for place in found["no punctuation"].places)
    assert {len(each.places) for each in found.values()} == {200}
    assert max(found["typos"].places) > 900
    assert all(len(each.answers) == len(each.places) for each in found.values())


def test_a_slow_model_is_asked_fewer_rows_or_none(predictor: Predictor) -> None:
    rows = [Instance(f"sports number {n}") for n in range(300)]
    assert {len(each.places) for each in asked_again(predictor, rows, 0.1)} == {50}
    assert asked_again(predictor, rows, 10.0) == ()
    assert asked_again(predictor, [], 1e-6) == ()


def test_a_row_that_would_be_left_without_a_text_is_not_asked(predictor: Predictor) -> None:
    found = asked_again(predictor, [Instance("!?") for _ in range(20)], 1e-6)
    assert [each.change for each in found] == []
