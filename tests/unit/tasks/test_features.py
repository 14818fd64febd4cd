"""Columns beside the text as numbers: by the training rows alone, whatever comes in use."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from lakeloop.spec.tasks.base import FeatureColumn
from lakeloop.tasks.features import (
    CategoricalFeature,
    NumericFeature,
    as_value,
    features_of,
    fit_features,
)

AMOUNT = FeatureColumn("amount", "feature_amount", "number")
FLAT = FeatureColumn("flat", "feature_flat", "number")
PLAN = FeatureColumn("plan", "feature_plan", "string")
TRAIN = {
    AMOUNT: pa.chunked_array([[1.0, 3.0, None]]),
    FLAT: pa.chunked_array([[2, 2, 2]]),
    PLAN: pa.chunked_array([["pro", "free", "free"]]),
}


def test_statistics_are_those_of_the_training_rows() -> None:
    amount, flat, plan = fit_features(TRAIN)
    assert amount == NumericFeature(name="amount", mean=2.0, deviation=1.0)
    assert flat == NumericFeature(name="flat", mean=2.0, deviation=1.0)
    assert plan == CategoricalFeature(name="plan", values=("free", "pro"))


def test_a_row_in_use_is_seen_by_the_statistics_of_training() -> None:
    features = fit_features({AMOUNT: TRAIN[AMOUNT], PLAN: TRAIN[PLAN]})
    used = {"amount": pa.array([4.0, None]), "plan": pa.array(["gold", "pro"])}
    assert features_of(used, features).tolist() == [[2.0, 0.0, 0.0, 0.0, 1.0], [0.0, 1.0, 0.0, 1.0, 0.0]]
    assert features_of(used, features).dtype == np.float32


def test_a_number_that_is_none_is_as_one_that_is_missing() -> None:
    (amount,) = fit_features({AMOUNT: pa.chunked_array([[1.0, 3.0, float("nan"), float("inf")]])})
    assert amount == NumericFeature(name="amount", mean=2.0, deviation=1.0)
    assert amount.of(pa.array([float("nan"), None])).tolist() == [[0.0, 1.0], [0.0, 1.0]]


def test_a_column_without_any_value_is_no_error() -> None:
    empty = fit_features({AMOUNT: pa.chunked_array([[None, None]], pa.float64())})
    assert features_of({"amount": pa.array([None, 5.0], pa.float64())}, empty).tolist() == [[0, 1], [5, 0]]


def test_of_many_values_the_most_frequent_have_a_column() -> None:
    cities = pa.chunked_array([["a", "b", "b", "c", None]])
    (city,) = fit_features({PLAN: cities}, most_values=2)
    assert city == CategoricalFeature(name="plan", values=("b", "a"))
    assert city.of(cities).shape == (5, 3)


def test_no_value_is_not_the_text_none() -> None:
    (city,) = fit_features({PLAN: pa.chunked_array([["None", "None", None, "x"]])}, most_values=1)
    assert city == CategoricalFeature(name="plan", values=("None",))
    assert city.of(pa.array(["None", "None", None, "x"])).tolist() == [[1, 0], [1, 0], [0, 1], [0, 1]]


def test_a_value_of_a_request_is_that_of_the_mart() -> None:
    plan, amount = CategoricalFeature(name="plan", values=()), NumericFeature(name="a", mean=0, deviation=1)
    assert [as_value(value, plan) for value in (1, 1.0, True, " ", None)] == ["1", "1", "true", None, None]
    assert [as_value(value, amount) for value in (2, None)] == [2.0, None]
