from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, log_loss, mean_absolute_error, r2_score

from lakeloop.measures.registry import metric_of
from lakeloop.spec.tasks import Classification, Task
from lakeloop.tasks.classification import softmax
from lakeloop.tasks.registry import task_of
from tests.support.training_jobs import NUMBERS
from training.data import Rows
from training.tasks.registry import training_task
from training.validation import Judge, Scores

FOUR = Classification(kind="classification", text="text", label="label", labels=("a", "b", "c", "d"))
ROWS = st.lists(st.tuples(st.integers(0, 3), st.lists(st.floats(-9, 9, width=32), min_size=4, max_size=4)))


def score(section: Task, values: list[object], outputs: np.ndarray, metric: str | None = None) -> Scores:
    task = task_of(section)
    contract = task.contract(task.profile(values))
    learnt = training_task(contract)
    rows = Rows(("",) * len(values), tuple(values), learnt.targets(values, "here"))
    judge = Judge(task, contract, rows, metric_of(section.kind, metric))
    return judge.score(learnt, outputs.astype(np.float32))


@settings(deadline=None)
@given(rows=ROWS.filter(bool))
def test_scores_are_those_of_scikit_learn(rows: list[tuple[int, list[float]]]) -> None:
    labels = np.array([label for label, _ in rows], dtype=np.int64)
    outputs = np.array([values for _, values in rows], dtype=np.float32)
    found = score(FOUR, [FOUR.labels[label] for label in labels], outputs)
    probabilities = softmax(outputs.astype(np.float64))
    predicted = probabilities.argmax(axis=1)
    expected = log_loss(labels, probabilities, labels=[0, 1, 2, 3])
    assert found.named["macro_f1"] == pytest.approx(f1_score(labels, predicted, average="macro"))
    assert found.named["accuracy"] == pytest.approx(accuracy_score(labels, predicted))
    assert found.named["log_loss"] == pytest.approx(expected, abs=1e-6)
    assert found.loss == pytest.approx(expected, abs=1e-6)
    assert found.rank == (found.named["macro_f1"], -found.loss)


def test_scores_of_numbers_are_in_the_unit_of_the_target_and_the_loss_has_none() -> None:
    values = np.array([10.0, 20.0, 30.0, 60.0])
    answers = np.array([12.0, 17.0, 30.0, 55.0])
    outputs = ((answers - values.mean()) / values.std())[:, None]
    found = score(NUMBERS, list(values), outputs)
    assert found.named["mae"] == pytest.approx(mean_absolute_error(values, answers))
    assert found.named["r2"] == pytest.approx(r2_score(values, answers))
    assert found.loss == pytest.approx(((answers - values) ** 2).mean() / values.var())


@pytest.mark.parametrize(("metric", "first_is_better"), [("mae", True), ("r2", True), ("spearman", False)])
def test_the_deciding_metric_ranks_in_its_own_direction(metric: str, first_is_better: bool) -> None:
    values: list[object] = [10.0, 20.0, 30.0, 60.0]
    close, ordered = np.array([[-1], [-0.8], [-0.9], [1.6]]), np.array([[0], [0.1], [0.2], [0.3]])
    first, second = (score(NUMBERS, values, outputs, metric) for outputs in (close, ordered))
    assert (first.rank > second.rank) == first_is_better


def test_of_equal_scores_the_smaller_loss_is_better() -> None:
    values: list[object] = ["a", "b"]
    sure, unsure = (score(FOUR, values, strength * np.eye(2, 4)) for strength in (5, 1))
    assert sure.named["macro_f1"] == unsure.named["macro_f1"] == 1
    assert sure.rank > unsure.rank
