"""Heads that are fitted without gradients: how much they are regularised, and what they compute."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.linear_model import Ridge
from torch import nn

from lakeloop.measures.registry import metric_of
from lakeloop.spec.tasks import Classification, Task
from lakeloop.tasks.registry import task_of
from lakeloop.tracking.tracker import RecordingTracker
from tests.support.training_jobs import CLASSES, NUMBERS
from training.data import Dataset, Rows
from training.job import Job
from training.methods.head import fit_head
from training.tasks.base import TrainingTask
from training.tasks.registry import training_task
from training.validation import Judge

TWO = Classification(kind="classification", text="text", label="label", labels=("no", "yes"))


def made(section: Task, values: list[Any]) -> tuple[TrainingTask, Dataset]:
    """A data set whose training and validation rows have these values."""
    task = task_of(section)
    contract = task.contract(task.profile(values))
    learnt = training_task(contract)
    rows = Rows(("",) * len(values), tuple(values), learnt.targets(values, "here"))
    return learnt, Dataset("d", rows, rows, task.profile(values), contract)


def chosen_of(
    section: Task, values: list[Any], embeddings: NDArray[np.float32], choices: tuple[float, ...]
) -> float:
    learnt, dataset = made(section, values)
    learnt.regularisations = choices  # type: ignore[misc]
    judge = Judge(task_of(section), dataset.contract, dataset.validation, metric_of(section.kind))
    job = Job.__new__(Job)
    job.dataset, job.judge, job.tracker = dataset, judge, RecordingTracker()
    return fit_head(job, learnt, embeddings).regularisation


@pytest.mark.parametrize(("noise", "chosen"), [(0.0, 100.0), (1.0, 0.01)], ids=["clean", "noisy"])
def test_validation_chooses_how_much_the_head_is_regularised(noise: float, chosen: float) -> None:
    draw = np.random.default_rng(0)
    number = np.arange(40) % 2
    signal = np.eye(2, 20)[number]
    embeddings = np.concatenate(
        [(1 - 0.9 * noise) * signal + noise * draw.normal(size=signal.shape) for _ in range(2)]
    ).astype(np.float32)
    assert chosen_of(TWO, ["yes" if n else "no" for n in number], embeddings, (0.01, 100.0)) == chosen


@pytest.mark.parametrize(("noise", "chosen"), [(0.0, 0.01), (1.0, 1000.0)], ids=["clean", "noisy"])
def test_validation_chooses_how_much_a_ridge_is_regularised(noise: float, chosen: float) -> None:
    draw = np.random.default_rng(0)
    values = draw.normal(size=40)
    signal = np.outer(values, np.eye(30)[0])
    embeddings = np.concatenate(
        [(1 - 0.99 * noise) * signal + noise * draw.normal(size=signal.shape) for _ in range(2)]
    ).astype(np.float32)
    assert chosen_of(NUMBERS, list(values + 100), embeddings, (0.01, 1000.0)) == chosen


def test_a_ridge_is_that_of_scikit_learn_in_the_unit_of_the_target() -> None:
    draw = np.random.default_rng(1)
    inputs = draw.normal(size=(50, 4)).astype(np.float32)
    values = inputs @ np.array([3.0, -1.0, 0.5, 0.0]) + 20 + draw.normal(size=50)
    learnt, dataset = made(NUMBERS, values.tolist())
    linear = learnt.fit_linear(inputs, dataset.train.targets, 2.0)
    answers = task_of(NUMBERS).decode(dataset.contract, linear.of(inputs))
    wanted = Ridge(alpha=2.0).fit(inputs, values).predict(inputs)
    assert [answer.value for answer in answers] == pytest.approx(wanted, rel=1e-4)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("section", "values"), [(CLASSES, ["business", "sports", "tech"] * 9), (NUMBERS, [1.0, 2.0, 4.0] * 9)]
)
def test_a_linear_map_computes_the_same_inside_the_network(section: Task, values: list[Any]) -> None:
    learnt, dataset = made(section, values)
    inputs = np.random.default_rng(2).normal(size=(27, 5)).astype(np.float32)
    linear = learnt.fit_linear(inputs, dataset.train.targets, 1.0)
    layer = nn.Linear(5, dataset.contract.width)
    linear.put_into(layer)
    with torch.inference_mode():
        np.testing.assert_allclose(layer(torch.from_numpy(inputs)), linear.of(inputs), atol=1e-5)
