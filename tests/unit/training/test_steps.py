"""Passes that are recorded and replayed do bit for bit what passes run one by one do: tried without a GPU."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tests.support.rerun import CAPTURED, FEW_WIDTHS, Rerun
from training import steps
from training.data import Batch, Tokens
from training.embed import run
from training.job import Job, Trained
from training.memory import unlearnt
from training.plan import Plan
from training.steps import Captured, Eager, Feed, forward_of, put_back, require_alike, runner_of
from training.train import train

MakeJob = Callable[..., Job]


class Refusing(Rerun):
    def record(self, work: Callable[[], torch.Tensor]) -> Callable[[], torch.Tensor]:
        self.recorded += 1
        raise RuntimeError("operation not permitted when stream is capturing")


def captured(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch, kind: type[Rerun], *told: Any, **options: Any
) -> tuple[Trained, Rerun]:
    """What a job makes whose passes are recorded by a recorder of `kind`, and the recorder."""
    made: list[Rerun] = []

    def recorder(parameters: Sequence[torch.Tensor]) -> Rerun:
        made.append(kind(parameters))
        return made[-1]

    monkeypatch.setattr(steps, "CudaRecorder", recorder)
    job = make_job(*told, **options)
    job.device = replace(job.device, plan=CAPTURED)
    trained = train(job)
    return trained, next(each for each in made if each.parameters)


def eager(make_job: MakeJob, *told: Any, **options: Any) -> Trained:
    """What the same job makes whose passes run one by one."""
    job = make_job(*told, **options)
    job.device = replace(job.device, plan=FEW_WIDTHS)
    return train(job)


def require_same(one: Trained, other: Trained) -> None:
    weights, others = one.network.state_dict(), other.network.state_dict()
    assert all(torch.equal(weights[name], others[name]) for name in weights)
    assert one.details["epochs"] == other.details["epochs"]


@pytest.mark.parametrize(
    "method", ["full", "lora", {"kind": "top_layers", "layers": 1}, "few_shot"], ids=lambda m: str(m)[:12]
)
def test_a_training_by_replayed_passes_has_the_same_bits(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch, method: Any
) -> None:
    usual = eager(make_job, method, epochs=2)
    found, recorder = captured(make_job, monkeypatch, Rerun, method, epochs=2)
    require_same(found, usual)
    assert 0 < recorder.recorded < recorder.replayed


@pytest.mark.parametrize("method", ["full", {"kind": "top_layers", "layers": 1}, "few_shot", "head"], ids=str)
def test_passes_of_which_nothing_is_learnt_are_replayed_with_the_same_bits(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch, method: Any
) -> None:
    """Of validation, frozen layers and embeddings; a shape of the validation comes once in an epoch."""
    monkeypatch.setattr(steps, "WORTH_RECORDING", 1)
    fed = replace(FEW_WIDTHS, texts=8)
    made: list[Rerun] = []

    def recorder(parameters: Sequence[torch.Tensor]) -> Rerun:
        made.append(Rerun(parameters))
        return made[-1]

    def trained(plan: Plan) -> Trained:
        job = make_job(method, epochs=4, patience=4)
        job.device = replace(job.device, plan=plan)
        shutil.rmtree(job.config.cache / "embeddings", ignore_errors=True)
        return train(job)

    usual = trained(fed)
    monkeypatch.setattr(steps, "CudaRecorder", recorder)
    found = trained(replace(fed, captured=True))
    weights, others = usual.network.state_dict(), found.network.state_dict()
    assert all(torch.equal(weights[name], others[name]) for name in weights)
    assert (usual.details, usual.validation) == (found.details, found.validation)
    without = [each for each in made if not each.parameters and each.recorded]
    assert len(without) == (1 if method in ("full", "head") else 2)
    assert all(each.recorded <= each.replayed for each in without)


def test_a_pass_that_cannot_be_recorded_and_one_that_comes_seldom_are_run(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, make_job: MakeJob
) -> None:
    device = replace(make_job().device, plan=CAPTURED)
    refusing = Refusing()
    monkeypatch.setattr(steps, "CudaRecorder", lambda _: refusing)
    forward = forward_of(device, Feed(device.place), lambda ids, mask: (ids * mask).sum(1), "validation")
    batch = Batch(np.arange(2), torch.tensor([[2, 3], [4, 0]]), torch.tensor([[1, 1], [1, 0]]))
    for time in range(8):
        assert forward(batch).tolist() == [5, 4]
        assert refusing.recorded == (time >= steps.WORTH_RECORDING)
    said = [line for line in caplog.messages if "passes of validation cannot be recorded" in line]
    assert len(said) == 1


def test_a_batch_in_passes_has_the_same_bits_too(make_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their gradients are added up, by shares that are another each time; the last batch is smaller."""
    monkeypatch.setattr("training.gradient.texts_of_a_pass", lambda *_: 3)
    usual = eager(make_job, "full", epochs=2, batch_size=10)
    found, recorder = captured(make_job, monkeypatch, Rerun, "full", epochs=2, batch_size=10)
    require_same(found, usual)
    assert recorder.replayed


def test_what_cannot_be_recorded_is_run_and_said_once(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    usual = eager(make_job, "full", epochs=1)
    found, recorder = captured(make_job, monkeypatch, Refusing, "full", epochs=1)
    require_same(found, usual)
    assert recorder.recorded == 1
    said = [line for line in caplog.messages if "cannot be recorded" in line]
    assert len(said) == 1
    assert "stream is capturing" in said[0]


def test_after_no_memory_was_left_passes_are_recorded_anew(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, refused = steps.Captured.run, 0

    def run(self: Captured, tensors: Sequence[torch.Tensor], factor: float) -> torch.Tensor:
        nonlocal refused
        if len(tensors[0]) > 4 and self.recorded:
            refused += 1
            raise torch.OutOfMemoryError("CUDA")
        return whole(self, tensors, factor)

    monkeypatch.setattr(steps.Captured, "run", run)
    found, recorder = captured(make_job, monkeypatch, Rerun, "full", epochs=2)
    assert (refused, recorder.forgotten, found.details["texts_of_a_pass"]) == (1, 1, 4)
    assert recorder.replayed


def test_after_no_memory_was_left_what_was_recorded_of_a_validation_is_freed(
    monkeypatch: pytest.MonkeyPatch, make_job: MakeJob
) -> None:
    recorder = Rerun()
    monkeypatch.setattr(steps, "CudaRecorder", lambda _: recorder)
    monkeypatch.setattr(steps, "WORTH_RECORDING", 1)
    device = replace(make_job().device, plan=replace(CAPTURED, texts=8))
    most = 8

    def compute(ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        if len(ids) > most:
            raise torch.OutOfMemoryError("CUDA")
        return (ids * mask).sum(1, keepdim=True).float()

    tokens = Tokens(tuple(np.full(3, row, np.int32) for row in range(16)), 0, device.plan, 24)
    forward, passes = (
        forward_of(device, Feed(device.place), compute, "validation"),
        unlearnt(device, "batches"),
    )
    for most, forgotten in ((8, 0), (8, 0), (4, 1), (4, 1)):  # noqa: B007 - `compute` looks at it
        outputs = run(forward, tokens, np.arange(16), device, "validation", passes)
        assert outputs[:, 0].tolist() == [3.0 * row for row in range(16)]
        assert recorder.forgotten == forgotten
    assert recorder.recorded == 2, "of batches of 8, then of batches of 4"


def double(weight: torch.nn.Parameter) -> steps.Work:
    def work(tensors: Sequence[torch.Tensor], factor: float | torch.Tensor) -> torch.Tensor:
        loss = (tensors[0] * weight).sum() * factor
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    return work


def test_each_shape_is_recorded_when_it_comes_again() -> None:
    weight = torch.nn.Parameter(torch.tensor(2.0))
    runner = Captured(double(weight), recorder := Rerun())
    counts = []
    for shape in (3, 4, 3, 3, 4, 5):
        assert runner.run([torch.ones(shape)], 0.5).item() == shape
        counts.append(recorder.recorded)
    assert counts == [0, 0, 1, 1, 2, 2]
    assert weight.grad is not None
    assert weight.grad.item() == 0.5 * (3 + 4 + 3 + 3 + 4 + 5)
    first = runner.run([torch.ones(3)], 1.0)
    runner.run([torch.zeros(3)], 1.0)
    assert first.item() == 6.0, "a loss is no memory of the next pass"


def test_no_more_shapes_are_recorded_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "MOST_RECORDED", 2)
    runner = Captured(double(torch.nn.Parameter(torch.tensor(2.0))), recorder := Rerun())
    for shape in (*range(1, 6), *range(1, 6)):
        assert runner.run([torch.ones(shape)], 1.0).item() == 2 * shape
    assert recorder.recorded == 2


def test_gradients_are_put_back_in_their_own_memory() -> None:
    one, other, none = (torch.nn.Parameter(torch.zeros(2)) for _ in range(3))
    one.grad, other.grad = torch.ones(2), torch.ones(2)
    place = one.grad
    put_back([torch.full((2,), 3.0), None, None], [one, other, none])
    assert one.grad is place
    assert (one.grad.tolist(), other.grad.tolist(), none.grad) == ([3.0, 3.0], [0.0, 0.0], None)


def test_a_cpu_runs_passes_one_by_one(make_job: MakeJob) -> None:
    device = make_job().device
    work = double(torch.nn.Parameter(torch.tensor(1.0)))
    assert isinstance(runner_of(device, work, []), Eager)
    assert isinstance(runner_of(replace(device, plan=CAPTURED), work, []), Captured)
    assert np.isclose(runner_of(device, work, []).run([torch.ones(2)], 1.0).item(), 2.0)


def test_a_recording_is_tried_and_one_that_gives_something_else_is_refused() -> None:
    weights = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    weights.grad = torch.tensor([5.0, 6.0])

    def work() -> torch.Tensor:
        loss = (weights * torch.rand(2).sign()).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def without_gradients() -> torch.Tensor:
        return torch.tensor(3.0)

    before = torch.random.get_rng_state()
    require_alike(work, work, [weights])
    with pytest.raises(RuntimeError, match=r"gives 3 and gradients of norm 0 instead of 3 and .* 1\.414"):
        require_alike(work, without_gradients, [weights])
    assert weights.grad.tolist() == [5.0, 6.0]
    assert torch.equal(torch.random.get_rng_state(), before)
