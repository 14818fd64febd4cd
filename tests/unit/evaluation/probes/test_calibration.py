"""Calibration: of each interval of probability, how often answers with it are right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from lakeloop.artifact import Calibration as Done
from lakeloop.evaluation.judge import Judged
from lakeloop.evaluation.probes.calibration import Calibration
from lakeloop.measures.base import Outcomes
from lakeloop.measures.intervals import wilson
from lakeloop.measures.registry import CERTAINTIES
from lakeloop.tasks.registry import task_of
from tests.support.small_loop import small_loop
from tests.unit.evaluation.conftest import NUMBERS, ROWS
from tests.unit.evaluation.test_judge import NUMBER_TASK

TASK = task_of(small_loop().task)


def test_the_table_is_the_curve_of_scikit_learn(models: list[Judged]) -> None:
    random = np.random.default_rng(0)
    chances = random.dirichlet(np.ones(3), 500)
    found = Outcomes(random.integers(0, 3, 500), chances.argmax(axis=1), chances)
    (grid,) = Calibration().look(replace(models[0], outcomes=found), ROWS, TASK).tables
    right, sure = calibration_curve(found.truth == found.answer, chances.max(axis=1), n_bins=10)
    assert [row[2] for row in grid.rows] == pytest.approx(sure)
    assert [row[3] for row in grid.rows] == pytest.approx(right)
    assert sum(row[1] for row in grid.rows) == 500
    first = grid.rows[0]
    assert first[4:] == wilson(round(first[3] * first[1]), first[1])


def test_of_several_answers_to_a_row_each_counts() -> None:
    found = Outcomes(np.array([[True, False]]), np.array([[True, True]]), np.array([[0.9, 0.6]]))
    sure, right = CERTAINTIES["multi_label"](found)
    assert (sure.tolist(), right.tolist()) == ([0.9, 0.6], [1.0, 0.0])


def test_an_answer_that_is_none_of_the_classes_has_what_these_leave() -> None:
    found = Outcomes(np.array([0]), np.array([-1]), np.array([[0.1, 0.2]]))
    assert CERTAINTIES["classification"](found)[0] == pytest.approx([0.7])


def test_numbers_have_no_probability(number_models: list[Judged]) -> None:
    assert Calibration().look(number_models[0], NUMBERS, NUMBER_TASK).tables == ()


def test_a_temperature_of_the_training_is_told_with_what_it_did(models: list[Judged]) -> None:
    (plain,) = Calibration().look(models[0], ROWS, TASK).tables
    assert "set no temperature" in plain.note
    done = Done(temperature=1.6, calibration_error=0.02, calibration_error_before=0.09)
    description = models[0].description.model_copy(update={"calibration": done})
    (told,) = Calibration().look(replace(models[0], description=description), ROWS, TASK).tables
    assert "temperature of 1.60" in told.note
    assert "0.0900 before and is 0.0200 since" in told.note
