from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy

from lakeloop.errors import ConfigurationError
from lakeloop.spec.train import Train
from lakeloop.tasks.base import OutputContract
from training.extras.objective import class_weights, even_rows, objective_of, set_dropout
from training.tasks.classification import TrainingClassification

NAMES = ("a", "b", "c")
TARGETS = np.repeat([0, 1, 2], [60, 30, 10])
TASK = TrainingClassification(OutputContract(kind="classification", width=3, names=NAMES))


def unasked() -> NDArray[np.float32]:
    raise AssertionError("there is no teacher")


def test_balanced_weights_make_classes_count_the_same_and_rows_one_on_average() -> None:
    weights = class_weights("balanced", NAMES, TARGETS)
    totals = weights * np.bincount(TARGETS)
    assert totals == pytest.approx([100 / 3] * 3)
    given = class_weights({"c": 3.0}, NAMES, TARGETS)
    assert given[2] / given[0] == pytest.approx(3)
    assert given[0] == given[1]
    assert given[TARGETS].mean() == pytest.approx(1)


def test_parts_of_a_batch_add_up_to_the_loss_of_the_batch() -> None:
    learn = objective_of(
        TASK, Train(class_weights="balanced", label_smoothing=0.2), NAMES, TARGETS, unasked
    ).loss
    outputs, targets = torch.randn(10, 3), torch.from_numpy(TARGETS[::10].copy())
    whole = learn(outputs, targets)
    parts = 0.6 * learn(outputs[:6], targets[:6]) + 0.4 * learn(outputs[6:], targets[6:])
    assert whole.item() == pytest.approx(parts.item(), rel=1e-6)


def test_smoothing_is_that_of_torch_and_without_any_the_loss_is_the_tasks_own() -> None:
    outputs, targets = torch.randn(8, 3), torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])
    smoothed = objective_of(TASK, Train(label_smoothing=0.1), NAMES, TARGETS, unasked).loss
    wanted = cross_entropy(outputs, targets, label_smoothing=0.1).item()
    assert smoothed(outputs, targets).item() == pytest.approx(wanted, rel=1e-6)
    assert objective_of(TASK, Train(), NAMES, TARGETS, unasked).loss == TASK.loss


def test_even_rows_have_each_class_as_often_and_follow_from_seed_and_epoch() -> None:
    rows = even_rows(TARGETS, seed=1, epoch=2)
    assert len(rows) == len(TARGETS)
    assert np.bincount(TARGETS[rows]).min() > 20
    assert (rows == even_rows(TARGETS, seed=1, epoch=2)).all()
    assert (rows != even_rows(TARGETS, seed=1, epoch=3)).any()


def test_a_base_model_without_dropout_is_told() -> None:
    with pytest.raises(ConfigurationError, match="no dropout"):
        set_dropout(torch.nn.Linear(2, 2), 0.1, "models/plain")
