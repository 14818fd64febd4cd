"""Doubtful answers: wrong labels that were planted are found, and right ones mostly left alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa

from lakeloop.evaluation.judge import Judged
from lakeloop.evaluation.probes.doubts import Doubts, doubtful
from lakeloop.measures.base import Outcomes
from lakeloop.tasks.registry import task_of
from tests.support.small_loop import LABELS, small_loop
from tests.unit.evaluation.conftest import NUMBERS
from tests.unit.evaluation.test_judge import NUMBER_TASK

TASK = task_of(small_loop().task)


def planted(rows: int = 2000, wrong: int = 80, classes: int = 3) -> tuple[Outcomes, set[int]]:
    """A good model on rows of which some have another answer than is right."""
    random = np.random.default_rng(0)
    real = random.integers(0, classes, rows)
    logits = random.normal(size=(rows, classes)) + 4 * (real[:, None] == np.arange(classes))
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    moved = random.choice(rows, wrong, replace=False)
    truth = real.copy()
    truth[moved] = (truth[moved] + 1) % classes
    return Outcomes(truth, chances.argmax(axis=1), chances), set(moved.tolist())


def test_wrong_answers_that_were_planted_are_found() -> None:
    outcomes, moved = planted()
    found = doubtful(outcomes.truth, outcomes.outputs).tolist()
    assert len(moved & set(found)) >= 60
    assert len(set(found) - moved) <= 20
    assert len(moved & set(found[:40])) >= 38  # the most doubtful first


def test_of_rows_that_are_answered_right_none_is_doubtful() -> None:
    outcomes, moved = planted(wrong=0)
    assert not moved
    found = doubtful(outcomes.truth, outcomes.outputs)
    assert (outcomes.answer[found] != outcomes.truth[found]).all()
    assert doubtful(np.array([0, 0]), np.array([[0.9, 0.1], [0.6, 0.4]])).tolist() == []


def test_the_table_has_texts_and_stays_in_the_lake(models: list[Judged]) -> None:
    outcomes, _ = planted(300, 30)
    rows = pa.table(
        {
            "text": [f"text {number} " + "word " * 100 for number in range(300)],
            "label": [LABELS[number] for number in outcomes.truth],
        }
    )
    found = Doubts().look(replace(models[0], outcomes=outcomes), rows, TASK)
    (grid,) = found.tables
    assert grid.of_rows
    assert len(grid.rows) == 20
    assert found.scores["doubtful_rows"] == len(doubtful(outcomes.truth, outcomes.outputs))
    text, right, chance, other, likelier = grid.rows[0]
    assert str(text).startswith("text ")
    assert len(str(text)) <= 165
    assert right != other
    assert chance < likelier  # type: ignore[operator]
    assert "20 most doubtful" in grid.note


def test_where_every_answer_is_right_the_table_says_so_and_is_empty(models: list[Judged]) -> None:
    truth = np.arange(3)
    rows = pa.table({"text": list(LABELS), "label": list(LABELS)})
    found = Doubts().look(replace(models[0], outcomes=Outcomes(truth, truth, np.eye(3))), rows, TASK)
    assert found.scores == {"doubtful_rows": 0.0}
    assert found.tables[0].rows == ()


def test_numbers_are_not_doubted(number_models: list[Judged]) -> None:
    assert Doubts().look(number_models[0], NUMBERS, NUMBER_TASK).tables == ()
