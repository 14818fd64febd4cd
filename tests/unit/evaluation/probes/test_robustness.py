"""Robustness: how often a model says the same of a text that is typed differently."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lakeloop.evaluation.changes import Again
from lakeloop.evaluation.judge import Judged
from lakeloop.evaluation.probes.robustness import Robustness, _same
from lakeloop.tasks.registry import task_of
from lakeloop.tasks.regression import Value
from tests.support.small_loop import small_loop
from tests.unit.evaluation.conftest import NUMBERS, ROWS
from tests.unit.evaluation.test_judge import NUMBER_TASK

TASK = task_of(small_loop().task)


def test_a_model_of_key_words_keeps_its_answers_in_capitals_and_loses_them_by_typos(
    models: list[Judged],
) -> None:
    found = Robustness().look(models[0], ROWS, TASK)
    shares = {row[0]: row[2] for row in found.tables[0].rows}
    assert shares["capital letters"] == 1.0  # its tokenizer makes small letters of them
    assert shares["typos"] < 1.0
    counted = [row for row in found.tables[0].rows if row[0] != "a word left out"]
    rows = sum(row[1] for row in counted)
    same = sum(row[1] * row[2] for row in counted)
    assert found.scores == {"invariance": pytest.approx(same / rows)}
    assert found.tables[0].compared == "same answer"


def test_numbers_are_the_same_where_they_are_near(number_models: list[Judged]) -> None:
    near = [Value(value=answer.value + 0.05) for answer in number_models[0].answers]  # type: ignore[attr-defined]
    far = [Value(value=answer.value + 5) for answer in number_models[0].answers]  # type: ignore[attr-defined]
    places = tuple(range(12))
    model = replace(
        number_models[0], again=(Again("near", places, tuple(near)), Again("far", places, tuple(far)))
    )
    found = Robustness().look(model, NUMBERS, NUMBER_TASK)
    assert [row[2] for row in found.tables[0].rows] == [1.0, 0.0]
    assert found.scores == {"invariance": 0.5}
    (_, far_row) = found.tables[0].rows
    assert far_row[6] == pytest.approx(0.75 / 12)
    assert far_row[5] > 4


def test_invariance_has_an_interval_over_rows_and_a_word_less_does_not_count(
    number_models: list[Judged],
) -> None:
    answers = number_models[0].answers
    far = tuple(
        Value(value=answer.value + (5 if place % 3 == 0 else 0))  # type: ignore[attr-defined]
        for place, answer in enumerate(answers)
    )
    places = tuple(range(12))
    changes = (Again("one", places, far), Again("two", places, far))
    found = Robustness().look(replace(number_models[0], again=changes), NUMBERS, NUMBER_TASK)
    once = Robustness().look(replace(number_models[0], again=changes[:1]), NUMBERS, NUMBER_TASK)
    score = found.scores["invariance"]
    low, high = found.intervals["invariance"]
    assert score == pytest.approx(2 / 3)
    assert low < score < high
    # Asked twice, the rows say no more than once: they stand and fall together.
    assert found.intervals == {"invariance": pytest.approx(once.intervals["invariance"])}
    less = Again("a word left out", places, far, same_meaning=False)
    alone = Robustness().look(replace(number_models[0], again=(less,)), NUMBERS, NUMBER_TASK)
    assert alone.scores == {}
    assert len(alone.tables[0].rows) == 1


def test_several_answers_and_stretches_are_the_same_as_a_whole() -> None:
    before = np.array([[True, False], [True, True]])
    assert _same(before, np.array([[True, False], [True, False]]), 0.0).tolist() == [True, False]
    rows = np.empty(2, dtype=object)
    rows[:] = [[(0, 3, "place")], []]
    other = np.empty(2, dtype=object)
    other[:] = [[(0, 3, "place")], [(1, 2, "place")]]
    assert _same(rows, other, 0.0).tolist() == [True, False]


def test_where_nothing_was_asked_nothing_is_found(models: list[Judged]) -> None:
    found = Robustness().look(replace(models[0], again=()), ROWS, TASK)
    assert (found.scores, found.tables) == ({}, ())
