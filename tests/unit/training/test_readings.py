"""Numbers that are read late are the same numbers, in the same order, and none is lost: tried on a CPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.nn.utils import clip_grad_norm_

from lakeloop.errors import ConfigurationError
from lakeloop.tracking.tracker import RecordingTracker
from training.job import Job, Trained
from training.plan import ON_A_CPU
from training.readings import Readings
from training.train import train

MakeJob = Callable[..., Job]


def test_a_step_is_read_when_it_is_late_enough_and_the_rest_at_the_end() -> None:
    readings, read = Readings(late=2), []
    loss = torch.tensor(0.0)
    for number in range(5):
        loss.fill_(number)  # the memory of the next pass
        read.append([each.loss for each in readings.add(loss, loss + 0.5, 0.1, number)])
    assert read == [[], [], [0.0], [1.0], [2.0]]
    assert len(readings) == 2
    rest = list(readings.rest())
    assert [(each.loss, each.norm, each.learning_rate, each.rows) for each in rest] == [
        (3.0, 3.5, 0.1, 3),
        (4.0, 4.5, 0.1, 4),
    ]
    assert len(readings) == 0


def test_usually_each_is_read_at_once() -> None:
    (reading,) = Readings().add(torch.tensor(1.5), torch.tensor(2.5), 0.1, 8)
    assert (reading.loss, reading.norm, reading.rows) == (1.5, 2.5, 8)


@pytest.mark.parametrize(
    "method", ["full", "adalora", "few_shot", {"kind": "top_layers", "layers": 1}], ids=str
)
def test_a_training_whose_numbers_are_read_late_is_the_same(make_job: MakeJob, method: Any) -> None:
    def told(late: int) -> tuple[Trained, list[Any]]:
        job = make_job(method, epochs=2)
        job.device = replace(job.device, plan=replace(ON_A_CPU, late=late))
        trained = train(job)
        assert isinstance(job.tracker, RecordingTracker)
        clock = ("train/seconds", "train/texts_per_second", "system/")
        return trained, [
            (step, {name: value for name, value in values.items() if not name.startswith(clock)})
            for step, values in job.tracker.logged
        ]

    (usual, points), (late, others) = told(0), told(5)
    assert points == others
    assert (usual.details, usual.validation) == (late.details, late.validation)
    weights = late.network.state_dict()
    assert all(torch.equal(weights[name], value) for name, value in usual.network.state_dict().items())


@pytest.mark.parametrize(("late", "ends_after"), [(0, 3), (4, 7), (100, 12)])
def test_a_step_that_is_no_number_ends_the_training_soon_and_at_its_epoch_at_the_latest(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch, late: int, ends_after: int
) -> None:
    steps = 0

    def overflow(weights: tuple[torch.nn.Parameter, ...], most: float) -> torch.Tensor:
        nonlocal steps
        steps += 1
        norm = clip_grad_norm_(weights, most)
        return torch.full_like(norm, float("nan")) if steps == 3 else norm

    monkeypatch.setattr("training.gradient.clip_grad_norm_", overflow)
    job = make_job("full", epochs=2)
    job.device = replace(job.device, plan=replace(ON_A_CPU, late=late))
    with pytest.raises(ConfigurationError, match="diverged") as raised:
        train(job)
    assert raised.value.found.startswith("gradient norm nan at learning rate")
    assert steps == ends_after
    assert isinstance(job.tracker, RecordingTracker)
    assert job.tracker.logged == []
