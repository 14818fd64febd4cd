"""Scores: known values, properties, and the inputs that break naive formulas."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakeloop.errors import ConfigurationError
from lakeloop.evaluation.catalogue import metric_named
from lakeloop.evaluation.metrics import Scores, compute_scores

LABELS = ("business", "sports", "tech")


def score(actual: list[str], predicted: list[str], sure: float = 0.8) -> Scores:
    rest = (1 - sure) / (len(LABELS) - 1)
    probabilities = [{label: sure if label == answer else rest for label in LABELS} for answer in predicted]
    return compute_scores(LABELS, actual, predicted, probabilities)


def test_scores_of_a_hand_worked_example() -> None:
    actual = ["business", "business", "sports", "tech"]
    result = score(actual, ["business", "sports", "sports", "tech"])
    assert result.accuracy == 0.75
    assert result.macro_f1 == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)
    assert result.log_loss == pytest.approx(-(3 * math.log(0.8) + math.log(0.1)) / 4)
    assert result.confusion == ((1, 1, 0), (0, 1, 0), (0, 0, 1))
    assert [label.support for label in result.labels] == [2, 1, 1]
    assert (result.labels[0].precision, result.labels[0].recall) == (1.0, 0.5)


def test_a_label_that_never_occurs_does_not_lower_macro_f1() -> None:
    assert score(["business", "sports"], ["business", "sports"]).macro_f1 == 1.0


def test_a_label_that_is_answered_but_never_right_does() -> None:
    assert score(["business", "sports"], ["tech", "sports"]).macro_f1 == pytest.approx(1 / 3)


def test_an_answer_outside_the_labels_is_wrong_and_stays_visible() -> None:
    probabilities = [{"gadgets": 1.0}, {"sports": 1.0}]
    result = compute_scores(LABELS, ["tech", "sports"], ["gadgets", "sports"], probabilities)
    assert result.accuracy == 0.5
    assert result.confusion == ((0, 0, 0, 0), (0, 1, 0, 0), (0, 0, 0, 1))
    assert math.isfinite(result.log_loss)


def test_no_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="0 actual"):
        compute_scores(LABELS, [], [], [])


def test_an_unknown_metric_names_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"macro_f1, accuracy, log_loss(.|\n)*f2"):
        metric_named("f2")


answers = st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS)), min_size=1, max_size=30)


@settings(max_examples=25)
@given(answers)
def test_the_confusion_matrix_accounts_for_every_row(rows: list[tuple[str, str]]) -> None:
    actual, predicted = (list(column) for column in zip(*rows, strict=True))
    result = score(actual, predicted)
    assert sum(map(sum, result.confusion)) == result.rows == len(rows)
    assert sum(result.confusion[i][i] for i in range(3)) == round(result.accuracy * len(rows))
    assert [sum(row) for row in result.confusion] == [label.support for label in result.labels]
    assert 0 <= result.macro_f1 <= 1
