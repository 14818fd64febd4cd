"""Words: those that go with an answer come up, and those that stand everywhere do not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa

from lakeloop.evaluation.judge import Judged
from lakeloop.evaluation.probes.words import Words, words_of
from lakeloop.measures.base import Outcomes
from lakeloop.tasks.registry import task_of
from tests.support.small_loop import LABELS, small_loop
from tests.unit.evaluation.conftest import NUMBERS
from tests.unit.evaluation.test_judge import NUMBER_TASK

TASK = task_of(small_loop().task)
RANDOM = np.random.default_rng(0)
ANSWERS = RANDOM.integers(0, 3, 600)
OWN = ("shares", "goal", "chip")
TEXTS = [
    f"The {OWN[n] if RANDOM.random() < 0.7 else 'thing'} of {RANDOM.choice(list('abcdefgh'))} today"
    for n in ANSWERS
]


def test_words_that_go_with_an_answer_come_first_and_common_ones_do_not_come_up() -> None:
    found = words_of(TEXTS, ANSWERS, 3)
    assert [found[number][0] for number in range(3)] == list(OWN)
    assert all("the" not in words and "today" not in words for words in found.values())


def test_by_chance_few_words_come_up_and_rare_ones_never() -> None:
    shuffled = RANDOM.permutation(ANSWERS)
    assert sum(map(len, words_of(TEXTS, shuffled, 3).values())) <= 3
    assert words_of(["once"] + ["a b"] * 10, np.array([0] + [1] * 10), 2).get(0, []) == []
    assert words_of(["?"], np.array([0]), 2) == {}


def test_the_table_names_answers_and_stays_in_the_lake(models: list[Judged]) -> None:
    rows = pa.table({"text": TEXTS, "label": [LABELS[number] for number in ANSWERS]})
    outputs = np.eye(3)[ANSWERS]
    model = replace(models[0], outcomes=Outcomes(ANSWERS, ANSWERS, outputs))
    (grid,) = Words().look(model, rows, TASK).tables
    assert [row[0] for row in grid.rows] == list(LABELS)
    assert str(grid.rows[1][2]).startswith("goal")
    assert grid.of_rows


def test_numbers_have_none(number_models: list[Judged]) -> None:
    assert Words().look(number_models[0], NUMBERS, NUMBER_TASK).tables == ()


def test_a_single_word_stands_against_nothing() -> None:
    assert words_of(["hello"] * 10, np.array([0, 1] * 5), 2) == {}
