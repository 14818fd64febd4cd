"""Columns beside the text as numbers: by the training rows alone, whatever comes in use."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from lakeloop.tasks.features import CategoricalFeature, NumericFeature, features_of, fit_features

TRAIN = pa.table({"amount": [1.0, 3.0, None], "plan": ["pro", "free", "free"], "flat": [2, 2, 2]})


def test_statistics_are_those_of_the_training_rows() -> None:
    amount, flat, plan = fit_features(TRAIN, ["amount", "flat"], ["plan"])
    assert amount == NumericFeature(column="amount", mean=2.0, deviation=1.0)
    assert flat == NumericFeature(column="flat", mean=2.0, deviation=1.0)
    assert plan == CategoricalFeature(column="plan", values=("free", "pro"))


def test_a_row_in_use_is_seen_by_the_statistics_of_training() -> None:
    features = fit_features(TRAIN, ["amount"], ["plan"])
    used = pa.table({"amount": [4.0, None], "plan": ["gold", "pro"]})
    assert features_of(used, features).tolist() == [[2.0, 0.0, 0.0, 0.0, 1.0], [0.0, 1.0, 0.0, 1.0, 0.0]]
    assert features_of(used, features).dtype == np.float32


def test_of_many_values_the_most_frequent_have_a_column() -> None:
    rows = pa.table({"city": ["a", "b", "b", "c", None]})
    (city,) = fit_features(rows, [], ["city"], most_values=2)
    assert city == CategoricalFeature(column="city", values=("b", "a"))
    assert features_of(rows, [city]).shape == (5, 3)
    assert features_of(rows, []).shape == (5, 0)


def test_no_value_is_not_the_text_none() -> None:
    rows = pa.table({"city": ["None", "None", None, "x"]})
    (city,) = fit_features(rows, [], ["city"], most_values=1)
    assert city == CategoricalFeature(column="city", values=("None",))
    assert features_of(rows, [city]).tolist() == [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]
