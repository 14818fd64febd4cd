"""Intervals: many draws at once give what one draw after the other would, and hold what they promise."""

from __future__ import annotations

import time

import numpy as np
import pytest

from lakeloop.measures import draws
from lakeloop.measures.base import MetricSpec, Outcomes, shown_with
from lakeloop.measures.intervals import (
    drawn_weights,
    intervals_of,
    paired_advantages,
    percentiles,
    scores_of_draws,
    wilson,
)
from lakeloop.measures.registry import METRICS, metric_of, metrics_of
from tests.unit.measures.outcomes import OF_KIND, classes, numbers, texts

ALL = [(kind, metric) for kind in METRICS for metric in metrics_of(kind)]


def taken(found: Outcomes, weights: np.ndarray) -> Outcomes:
    return found.take(np.repeat(np.arange(found.rows), weights.astype(int)))


@pytest.mark.parametrize(
    ("kind", "metric"), [pytest.param(*each, id=f"{each[0]}-{each[1].name}") for each in ALL]
)
def test_the_scores_of_all_draws_are_those_of_each_drawn_table(kind: str, metric: MetricSpec) -> None:
    found = OF_KIND[kind](60)
    drawn = scores_of_draws([metric], found, 20)[metric.name]
    for weights, score in zip(next(drawn_weights(60, 20)), drawn, strict=True):
        assert score == pytest.approx(metric.compute(taken(found, weights)), abs=1e-9)
    low, high = intervals_of([metric], found, {metric.name: metric.compute(found)})[metric.name]
    assert metric.lowest is None or metric.lowest <= low
    assert low < metric.compute(found) < high
    assert metric.highest is None or high <= metric.highest


def test_equal_answers_have_equal_intervals_and_models_have_the_same_draws() -> None:
    metrics = metrics_of("classification")
    first, second = (
        intervals_of(metrics, classes(80), {metric.name: 0.5 for metric in metrics}) for _ in range(2)
    )
    assert first == second
    mae = metric_of("regression", "mae")
    one = numbers(50)
    worse = Outcomes(one.truth, one.answer + 100, one.outputs)
    advantages = paired_advantages(mae, one, worse)
    # Row by row the same drawn: an error of 100 more is never 90 more.
    assert advantages.min() > 90
    assert (paired_advantages(mae, one, one) == 0).all()


def test_nineteen_of_twenty_intervals_have_the_true_score() -> None:
    accuracy, f1 = metric_of("classification", "accuracy"), metric_of("classification", "macro_f1")
    large = classes(200_000, seed=1)
    true = {metric.name: metric.compute(large) for metric in (accuracy, f1)}
    hits = dict.fromkeys(true, 0)
    for seed in range(60):
        found = classes(200, seed=seed + 2)
        scores = {metric.name: metric.compute(found) for metric in (accuracy, f1)}
        for name, (low, high) in intervals_of([accuracy, f1], found, scores).items():
            hits[name] += low <= true[name] <= high
    assert all(count >= 51 for count in hits.values()), hits


def test_a_share_has_wilsons_interval() -> None:
    from scipy.stats import binomtest

    for right, rows in ((0, 5), (5, 5), (37, 50), (950, 1000)):
        expected = binomtest(right, rows).proportion_ci(0.95, method="wilson")
        assert wilson(right, rows) == pytest.approx((expected.low, expected.high))


def test_a_mean_has_the_interval_of_scipy() -> None:
    from scipy.stats import bootstrap

    found = numbers(300)
    mae = metric_of("regression", "mae")
    low, high = intervals_of([mae], found, {"mae": mae.compute(found)})["mae"]
    expected = bootstrap(
        (abs(found.answer - found.truth),), np.mean, method="percentile", n_resamples=5000, rng=1
    ).confidence_interval
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=0.05)


def test_one_row_and_scores_that_few_draws_have_get_no_interval() -> None:
    metrics = metrics_of("classification")
    one = classes(1)
    assert intervals_of(metrics, one, {"macro_f1": 1.0}) == {}
    assert percentiles(np.array([1.0, np.nan, np.nan]), 1.0) is None
    assert percentiles(np.array([0.5, 1.0, np.nan]), 0.75) is not None


def test_draws_that_are_off_on_the_whole_are_moved_and_stay_in_the_range() -> None:
    drawn = np.linspace(0.2, 0.4, 1001)
    assert percentiles(drawn, 0.1, 0.0, 1.0) == pytest.approx((0.005, 0.195))
    assert percentiles(drawn, 0.05, 0.0, 1.0) == pytest.approx((0.0, 0.145))
    assert percentiles(drawn, 0.05) == pytest.approx((-0.045, 0.145))


@pytest.mark.parametrize("kind", ["classification", "multi_label", "regression"])
def test_all_metrics_of_ten_thousand_rows_take_less_than_five_seconds(kind: str) -> None:
    found, metrics = OF_KIND[kind](10_000), metrics_of(kind)

    def seconds() -> float:
        started = time.process_time()
        assert len(intervals_of(metrics, found, {metric.name: 0.5 for metric in metrics})) == len(metrics)
        return time.process_time() - started

    # A busy machine takes longer, and the first time also imports.
    assert any(seconds() < 5 for _ in range(3))


def test_a_metric_without_a_way_for_many_draws_is_computed_for_some() -> None:
    plain = MetricSpec("plain", "plain", metric_of("causal_lm", "rouge_1").compute)
    found = texts(30)
    slow = scores_of_draws([plain], found)["plain"]
    fast = scores_of_draws([metric_of("causal_lm", "rouge_1")], found)["rouge_1"]
    assert (len(slow), len(fast)) == (200, 1000)
    assert slow == pytest.approx(fast[:200])


def test_where_many_rows_are_ranked_by_many_columns_fewer_draws_are_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = classes(50)
    metrics = [metric_of("classification", name) for name in ("roc_auc", "pr_auc", "macro_f1")]
    whole = scores_of_draws(metrics, found)
    monkeypatch.setattr(draws, "_WORK", 300 * found.outputs.size)
    fewer = scores_of_draws(metrics, found)
    assert {name: len(scores) for name, scores in fewer.items()} == {
        "roc_auc": 300, "pr_auc": 300, "macro_f1": 1000,
    }  # fmt: skip
    assert (fewer["roc_auc"] == whole["roc_auc"][:300]).all()


def test_an_interval_stands_behind_its_score() -> None:
    assert shown_with(0.92661, (0.9, 0.95)) == "0.9266 [0.9000, 0.9500]"
    assert shown_with(0.5, None) == "0.5000"


OF_CELLS = [metric for metric in metrics_of("classification") if metric.draws and metric.draws.alike]


def test_metrics_of_right_and_given_answers_alone_are_drawn_by_their_combinations() -> None:
    assert [metric.name for metric in OF_CELLS] == ["macro_f1", "weighted_f1", "mcc"]


@pytest.mark.parametrize("metric", OF_CELLS, ids=lambda metric: metric.name)
def test_drawing_combinations_is_drawing_the_rows(metric: MetricSpec) -> None:
    truth, one, other = two_models(150)
    found = [Outcomes(truth, answer, np.eye(5)[answer]) for answer in (one, other)]
    plain = [
        metric.compute(taken(found[0], weights)) - metric.compute(taken(found[1], weights))
        for block in drawn_weights(150, 40)
        for weights in block
    ]
    advantages = paired_advantages(metric, *found)
    assert len(advantages) == 1000
    assert advantages[:40] == pytest.approx(plain, abs=1e-12)
    each = [scores_of_draws([metric], outcomes)[metric.name] for outcomes in found]
    assert (advantages == each[0] - each[1]).all(), "to the last digit what whole rows give"


@pytest.mark.parametrize("metric", OF_CELLS, ids=lambda metric: metric.name)
def test_advantages_are_distributed_as_those_of_a_plain_loop_with_other_random_numbers(
    metric: MetricSpec,
) -> None:
    from scipy.stats import ks_2samp

    truth, one, other = two_models(300)
    random = np.random.default_rng(7)
    plain = []
    for _ in range(300):
        rows = random.integers(0, 300, 300)
        both = [Outcomes(truth[rows], each[rows], np.zeros((300, 5))) for each in (one, other)]
        plain.append(metric.compute(both[0]) - metric.compute(both[1]))
    found = paired_advantages(metric, *(Outcomes(truth, each, np.zeros((300, 5))) for each in (one, other)))
    assert ks_2samp(found, plain).pvalue > 0.01


def test_two_models_of_150_classes_take_seconds_and_no_table_of_all_classes() -> None:
    import tracemalloc

    rows, size = 50_000, 150
    random = np.random.default_rng(3)
    truth = random.integers(0, size, rows)
    none = np.broadcast_to(np.zeros(size), (rows, size))
    both = [
        Outcomes(truth, np.where(random.random(rows) < 0.8, truth, random.integers(0, size, rows)), none)
        for _ in range(2)
    ]
    started = time.process_time()
    tracemalloc.start()
    paired_advantages(metric_of("classification", "macro_f1"), *both)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 150e6, "a float for each row, class and count would take 180 MB for each model"
    assert time.process_time() - started < 10


def two_models(rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Right answers of five classes, one of them rare, and those of two models; some of none of them."""
    random = np.random.default_rng(rows)
    truth = random.choice(5, rows, p=[0.4, 0.3, 0.2, 0.09, 0.01])
    answers = [np.where(random.random(rows) < 0.8, truth, random.integers(-1, 5, rows)) for _ in range(2)]
    return truth, *answers


def test_rows_that_are_all_right_do_not_promise_that_all_others_are() -> None:
    truth = np.arange(30) % 3
    found = Outcomes(truth, truth, np.eye(3)[truth])
    metrics = [metric_of("classification", name) for name in ("macro_f1", "accuracy")]
    ends = intervals_of(metrics, found, {"macro_f1": 1.0, "accuracy": 1.0})
    assert list(ends) == ["accuracy"], "an interval of no width is none"
    assert ends["accuracy"][0] == pytest.approx(wilson(30, 30)[0])
    assert ends["accuracy"][0] < 0.9
