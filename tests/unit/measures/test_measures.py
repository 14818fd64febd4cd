"""Scores equal those of scikit-learn and SciPy, and each knows its direction."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from lakeloop.errors import ConfigurationError
from lakeloop.measures.base import Outcomes
from lakeloop.measures.registry import METRICS, learning_metrics_of, metric_of, metrics_of
from lakeloop.spec.shape import kinds_of
from lakeloop.spec.tasks import Task
from tests.unit.measures.outcomes import OF_KIND, classes, labels, stretches


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


@pytest.mark.parametrize("seed", range(5))
def test_probabilities_are_scored_as_by_scikit_learn(seed: int) -> None:
    from sklearn.preprocessing import label_binarize

    found = classes(200, seed=seed)
    truth, chances = found.truth, found.outputs
    expected = {
        "roc_auc": sk.roc_auc_score(truth, chances, multi_class="ovr", average="macro"),
        "pr_auc": sk.average_precision_score(label_binarize(truth, classes=range(4)), chances),
        "brier": sk.brier_score_loss(truth, chances, labels=range(4), scale_by_half=False),
        "mcc": sk.matthews_corrcoef(truth, found.answer),
        "weighted_f1": sk.f1_score(truth, found.answer, average="weighted"),
    }
    for name, score in expected.items():
        assert metric_of("classification", name).compute(found) == pytest.approx(score)


def test_the_calibration_error_is_how_much_surer_answers_are_than_right() -> None:
    chances = np.array([[0.95, 0.05]] * 10 + [[0.55, 0.45]] * 10)
    truth = np.array([0] * 9 + [1] + [0] * 3 + [1] * 7)
    found = Outcomes(truth, np.zeros(20, dtype=int), chances)
    error = metric_of("classification", "calibration_error").compute(found)
    assert error == pytest.approx((abs(0.95 - 0.9) + abs(0.55 - 0.3)) / 2)


def test_labels_that_no_row_has_count_for_nothing_in_the_mean_average_precision() -> None:
    found = labels(100)
    score = metric_of("multi_label", "mean_average_precision").compute(found)
    assert score == pytest.approx(sk.average_precision_score(found.truth, found.outputs, average="macro"))
    more = Outcomes(
        *(
            np.column_stack([each, np.zeros(100, each.dtype)])
            for each in (found.truth, found.answer, found.outputs)
        )
    )
    assert metric_of("multi_label", "mean_average_precision").compute(more) == pytest.approx(score)


def test_what_rows_cannot_tell_is_left_out_with_a_reason() -> None:
    one = Outcomes(np.zeros(3, int), np.array([0, 1, 0]), np.full((3, 2), 0.5))
    silent = {m.name for m in metrics_of("classification") if m.undefined and m.undefined(one)}
    assert silent == {"mcc", "roc_auc", "pr_auc"}
    flat = Outcomes(np.ones(3), np.arange(3.0), np.ones((3, 1)))
    assert {m.name for m in metrics_of("regression") if m.undefined and m.undefined(flat)} == {
        "r2", "spearman",
    }  # fmt: skip
    nothing = Outcomes(np.zeros((3, 2), bool), np.ones((3, 2), bool), np.ones((3, 2)))
    assert {m.name for m in metrics_of("multi_label") if m.undefined and m.undefined(nothing)} == {
        "mean_average_precision"
    }


@pytest.mark.parametrize("kind", METRICS)
def test_every_metric_says_what_it_means_and_lies_in_its_range(kind: str) -> None:
    for metric in metrics_of(kind):
        assert metric.meaning.endswith((".", ")")), metric.name
        score = metric.compute(OF_KIND[kind](40))
        assert metric.lowest is None or metric.lowest <= score
        assert metric.highest is None or score <= metric.highest
    assert not metrics_of(kind)[0].evaluation_only
    later = [metric.evaluation_only for metric in metrics_of(kind)]
    assert later == sorted(later), "those for evaluations alone stand behind the others"


def test_trainings_choose_by_what_they_always_chose_by() -> None:
    assert [metric.name for metric in learning_metrics_of("classification")] == [
        "macro_f1", "accuracy", "log_loss",
    ]  # fmt: skip
    assert [metric.name for metric in learning_metrics_of("multi_label")] == [
        "micro_f1", "macro_f1", "exact_match", "hamming_loss",
    ]  # fmt: skip


def test_a_metric_that_the_task_does_not_have_is_refused_with_those_it_has() -> None:
    with pytest.raises(ConfigurationError, match="mae, rmse, r2, spearman"):
        metric_of("regression", "macro_f1")


@pytest.mark.parametrize("seed", range(5))
def test_stretches_are_scored_as_by_counting_each_one(seed: int) -> None:
    from scipy.optimize import linear_sum_assignment

    found = stretches(25, seed)
    kinds: dict[str, list[int]] = {}
    credit = 0.0
    for truth, answer in zip(found.truth, found.answer, strict=True):
        for kind in {kind for *_, kind in [*truth, *answer]}:
            there, claimed = ({each for each in side if each[2] == kind} for side in (truth, answer))
            counts = len(there & claimed), len(there), len(claimed)
            kinds[kind] = [a + b for a, b in zip(kinds.get(kind, [0, 0, 0]), counts, strict=True)]
            # Each with the one that it is worth most with, over all ways to put them together.
            worth = np.array(
                [
                    [1.0 if one == two else 0.5 * (one[0] < two[1] and two[0] < one[1]) for two in claimed]
                    for one in there
                ]
            ).reshape(len(there), len(claimed))
            credit += worth[linear_sum_assignment(-worth)].sum()
    right, there_all, claimed_all = np.array(list(kinds.values())).sum(axis=0)
    expected = {
        "entity_f1": 2 * right / (there_all + claimed_all),
        "entity_macro_f1": np.mean([2 * r / (t + c) for r, t, c in kinds.values()]),
        "partial_f1": 2 * credit / (there_all + claimed_all),
        "precision": right / claimed_all,
        "recall": right / there_all,
    }
    for name, score in expected.items():
        assert metric_of("token_classification", name).compute(found) == pytest.approx(score), name
