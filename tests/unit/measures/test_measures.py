"""Scores equal those of scikit-learn and SciPy, and each knows its direction."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from lakeloop.errors import ConfigurationError
from lakeloop.measures.base import Outcomes
from lakeloop.measures.registry import METRICS, metric_of, metrics_of
from lakeloop.spec.shape import kinds_of
from lakeloop.spec.tasks import Task


def classified(truth: list[int], answer: list[int], size: int = 3) -> Outcomes:
    outputs = np.full((len(truth), size), 0.1 / (size - 1))
    for row, place in enumerate(answer):
        if place >= 0:
            outputs[row, place] = 0.9
    return Outcomes(np.array(truth), np.array(answer), outputs)


pairs = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=40)


@given(pairs)
@settings(deadline=None)  # the first call imports
def test_classes_are_scored_as_by_scikit_learn(rows: list[tuple[int, int]]) -> None:
    truth, answer = [t for t, _ in rows], [a for _, a in rows]
    found = classified(truth, answer)
    seen = sorted({*truth, *answer})
    f1 = sk.f1_score(truth, answer, labels=seen, average="macro", zero_division=0.0)
    assert metric_of("classification", "macro_f1").compute(found) == pytest.approx(f1)
    accuracy = sk.accuracy_score(truth, answer)
    assert metric_of("classification", "accuracy").compute(found) == pytest.approx(accuracy)
    normal = found.outputs / found.outputs.sum(axis=1, keepdims=True)
    loss = sk.log_loss(truth, normal, labels=[0, 1, 2])
    even = Outcomes(found.truth, found.answer, normal)
    assert metric_of("classification", "log_loss").compute(even) == pytest.approx(loss)


def test_an_answer_that_is_no_class_is_wrong_and_has_no_score_of_its_own() -> None:
    found = classified([0, 1], [0, -1])
    assert metric_of("classification", "accuracy").compute(found) == 0.5
    assert metric_of("classification", "macro_f1").compute(found) == pytest.approx((1 + 0) / 2)


numbers = st.lists(st.tuples(st.integers(-50, 50), st.integers(-50, 50)), min_size=2, max_size=40)


@given(numbers)
@settings(deadline=None)
def test_numbers_are_scored_as_by_scikit_learn_and_scipy(rows: list[tuple[int, int]]) -> None:
    from scipy.stats import spearmanr

    truth, answer = np.array([t for t, _ in rows], float), np.array([a for _, a in rows], float)
    found = Outcomes(truth, answer, answer[:, None])
    assert metric_of("regression", "mae").compute(found) == pytest.approx(
        sk.mean_absolute_error(truth, answer)
    )
    assert metric_of("regression", "rmse").compute(found) == pytest.approx(
        sk.root_mean_squared_error(truth, answer)
    )
    if np.ptp(truth) > 0:
        assert metric_of("regression", "r2").compute(found) == pytest.approx(sk.r2_score(truth, answer))
    if np.ptp(truth) > 0 and np.ptp(answer) > 0:
        rank = spearmanr(truth, answer).statistic
        assert metric_of("regression", "spearman").compute(found) == pytest.approx(rank, abs=1e-9)


def test_what_does_not_vary_has_no_correlation_and_explains_nothing() -> None:
    flat = Outcomes(np.ones(3), np.array([1.0, 2.0, 3.0]), np.ones((3, 1)))
    assert metric_of("regression", "spearman").compute(flat) == 0.0
    assert metric_of("regression", "r2").compute(flat) == 0.0


def test_less_error_is_better_and_its_slack_is_a_share() -> None:
    mae, f1 = metric_of("regression", "mae"), metric_of("classification")
    assert (mae.advantage(1.0, 2.0), f1.advantage(0.5, 0.75)) == (1.0, -0.25)
    assert (mae.allowed(200.0, 0.01), f1.allowed(0.9, 0.01)) == (2.0, 0.01)


def test_every_task_of_the_loop_file_has_metrics_with_names_of_their_own() -> None:
    assert set(kinds_of(Task)) == set(METRICS)
    for kind in METRICS:
        names = [metric.name for metric in metrics_of(kind)]
        assert len(set(names)) == len(names)
        assert metric_of(kind).name == names[0]


def test_a_metric_that_the_task_does_not_have_is_refused_with_those_it_has() -> None:
    with pytest.raises(ConfigurationError, match="mae, rmse, r2, spearman"):
        metric_of("regression", "macro_f1")
