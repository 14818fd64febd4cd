"""Trees as a layer give what scikit-learn says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)

from lakeloop.errors import ArtifactError
from training.trees import SMALLEST_SHARE, as_trees

RANDOM = np.random.default_rng(4)
INPUTS = RANDOM.normal(size=(300, 6)).astype(np.float32)
NUMBERS = (INPUTS[:, 0] * 3 + INPUTS[:, 1]).astype(np.float64)
CLASSES = np.digitize(INPUTS[:, 0], [-0.5, 0.5])


@pytest.mark.parametrize("model", [RandomForestRegressor(7), HistGradientBoostingRegressor(max_iter=7)])
def test_numbers_are_those_of_the_model(model: Any) -> None:
    model.fit(INPUTS, NUMBERS)
    trees = as_trees(model, INPUTS)
    np.testing.assert_allclose(trees.of(INPUTS)[:, 0], model.predict(INPUTS), atol=1e-4)
    assert trees.depth > 2


@pytest.mark.parametrize("classes", [CLASSES, CLASSES > 0], ids=["three classes", "two classes"])
def test_scores_of_boosting_are_those_of_the_model(classes: Any) -> None:
    model = HistGradientBoostingClassifier(max_iter=7).fit(INPUTS, classes)
    shares = torch.softmax(torch.from_numpy(as_trees(model, INPUTS).of(INPUTS)), 1)
    np.testing.assert_allclose(shares.numpy(), model.predict_proba(INPUTS), atol=1e-5)


@pytest.mark.parametrize("classes", [CLASSES, CLASSES > 0], ids=["three classes", "two classes"])
def test_outputs_of_a_forest_are_logarithms_of_its_shares(classes: Any) -> None:
    model = RandomForestClassifier(7, max_depth=4).fit(INPUTS, classes)
    wanted = np.log(np.maximum(model.predict_proba(INPUTS), SMALLEST_SHARE))
    np.testing.assert_allclose(as_trees(model, INPUTS).of(INPUTS), wanted, atol=1e-5)


def test_a_value_at_a_threshold_goes_the_way_it_goes_in_the_model() -> None:
    # 0.1 is no float32: the threshold between two of them is, in float64.
    steps = np.array([0.1, np.nextafter(np.float32(0.1), np.float32(1))], np.float32)
    inputs = np.repeat(steps, 40)[:, None]
    model = RandomForestRegressor(3, bootstrap=False).fit(inputs, np.repeat([1.0, 2.0], 40))
    np.testing.assert_allclose(as_trees(model, inputs).of(inputs)[:, 0], model.predict(inputs))


def test_trees_that_give_something_else_are_refused() -> None:
    model = HistGradientBoostingRegressor(max_iter=7).fit(INPUTS, NUMBERS)
    model.predict = lambda inputs: np.zeros(len(inputs))
    with pytest.raises(ArtifactError, match="do not give what scikit-learn says"):
        as_trees(model, INPUTS)
