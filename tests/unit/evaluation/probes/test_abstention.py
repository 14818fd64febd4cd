"""Abstention: what would be answered above a threshold, and how texts out of scope are told apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from lakeloop.evaluation.judge import Beyond, Contender, Judged, judge
from lakeloop.evaluation.probes.abstention import Abstention
from lakeloop.measures.abstaining import threshold_for, thresholds_of
from lakeloop.measures.base import Outcomes
from lakeloop.measures.intervals import wilson
from lakeloop.spec.release import Abstain
from lakeloop.tasks.classification import Label
from lakeloop.tasks.registry import task_of
from tests.support.artifacts import make_artifact
from tests.support.small_loop import LABELS, small_loop
from tests.unit.evaluation.conftest import NUMBERS, ROWS
from tests.unit.evaluation.test_judge import NUMBER_TASK

TASK = task_of(small_loop().task)


def unsure(models: list[Judged], seed: int = 0) -> Judged:
    """A model that is right as often as it is sure, with thresholds of other rows of the same kind."""
    random = np.random.default_rng(seed)
    rows = 1500
    sure = random.uniform(0.4, 1, 2 * rows)
    right = random.random(2 * rows) < sure
    truth = random.integers(0, 3, rows)
    answer = np.where(right[:rows], truth, (truth + 1) % 3)
    outputs = np.repeat((1 - sure[:rows, None]) / 2, 3, axis=1)
    outputs[np.arange(rows), answer] = sure[:rows]
    return replace(
        models[0],
        outcomes=Outcomes(truth, answer, outputs),
        thresholds=thresholds_of(sure[rows:], right[rows:]),
    )


def test_the_table_says_what_is_answered_and_how_much_of_it_is_right(models: list[Judged]) -> None:
    model = replace(unsure(models), abstain=Abstain(precision=0.85))
    (grid,) = Abstention().look(model, ROWS, TASK).tables
    names = [row[0] for row in grid.rows]
    assert names[:3] == ["0.8", "0.85 (deploy.abstain)", "0.9"]
    found = model.outcomes
    sure, right = found.outputs.max(axis=1), found.answer == found.truth
    for row in grid.rows[:3]:
        inside = sure >= row[2]
        assert row[3] == pytest.approx(inside.mean())
        assert row[4] == pytest.approx(right[inside].mean())
        assert row[5:7] == wilson(int(right[inside].sum()), int(inside.sum()))
    assert float(grid.rows[1][4]) == pytest.approx(0.85, abs=0.03)  # type: ignore[arg-type]
    answered = [row[3] for row in grid.rows]
    assert answered == sorted(answered, reverse=True)  # type: ignore[type-var]


def test_a_fixed_threshold_has_a_row_of_its_own(models: list[Judged]) -> None:
    model = replace(unsure(models), thresholds=(), abstain=Abstain(below=0.7))
    (grid,) = Abstention().look(model, ROWS, TASK).tables
    assert [row[:3] for row in grid.rows] == [("below 0.7 (deploy.abstain)", None, 0.7)]


def test_what_validation_rows_do_not_reach_is_said(models: list[Judged]) -> None:
    model = unsure(models)
    low = tuple(each for each in model.thresholds if each.precision < 0.9)
    (grid,) = Abstention().look(replace(model, thresholds=low), ROWS, TASK).tables
    assert [row[:2] for row in grid.rows] == [
        ("0.8", "yes"), ("0.9", "no"), ("0.95", "no"), ("0.98", "no"), ("0.99", "no"),
    ] or [row[:2] for row in grid.rows][2:] == [("0.95", "no"), ("0.98", "no"), ("0.99", "no")]  # fmt: skip


def test_texts_out_of_scope_are_counted_and_told_apart_as_scikit_learn_says(models: list[Judged]) -> None:
    model = unsure(models)
    chances = np.random.default_rng(4).uniform(0.35, 0.8, 200)
    strangers = tuple(
        Label(label="tech", score=chance, scores={"tech": chance}) for chance in chances.tolist()
    )
    found = Abstention().look(replace(model, strangers=strangers), ROWS, TASK)
    sure = model.outcomes.outputs.max(axis=1)
    truth = np.r_[np.ones(len(sure)), np.zeros(200)]
    score = found.scores["out_of_scope_auc"]
    assert score == pytest.approx(roc_auc_score(truth, np.r_[sure, chances]))
    low, high = found.intervals["out_of_scope_auc"]
    assert low < score < high
    assert found.tables[0].columns[-1] == "out of scope, turned away"
    below = threshold_for(0.9, model.thresholds)
    assert found.tables[0].rows[1][-1] == pytest.approx((chances < below).mean())


def test_thresholds_of_a_candidate_are_of_validation_rows_and_of_a_version_of_its_card(
    tmp_path: Path,
) -> None:
    artifact = make_artifact(tmp_path / "a", LABELS, strength=2.0)
    texts = [f"{label} {'word ' * (n % 5)}" for n, label in enumerate(LABELS * 20)]
    validation = pa.table({"row_id": texts, "text": texts, "label": list(LABELS) * 20})
    beyond = Beyond(validation, ("nothing of it",), Abstain(precision=0.9))
    candidate = Contender("a", artifact.digest, "x")
    found = judge(candidate, artifact.folder, ROWS, TASK, threads=1, beyond=beyond)
    assert found.thresholds[0].answered == 1.0
    assert len(found.strangers) == 1
    assert found.abstain == Abstain(precision=0.9)
    known = found.thresholds[:1]
    again = judge(replace(candidate, thresholds=known), artifact.folder, ROWS, TASK, threads=1, beyond=beyond)
    assert again.thresholds == known
    assert judge(candidate, artifact.folder, ROWS, TASK, threads=1).thresholds == ()


def test_numbers_are_not_held_back(number_models: list[Judged]) -> None:
    assert Abstention().look(number_models[0], NUMBERS, NUMBER_TASK).tables == ()
    assert Abstention().titles("regression") == {}
