"""Trainings in two processes: the same weights in both, and those of one that adds up what the two add up."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from transformers import PreTrainedModel

from lakeloop.errors import TransientError
from tests.support.forked_ranks import Ended, in_two, train_in_two
from training.cost import Meter
from training.device import Device, open_device
from training.job import Job, Trained, main
from training.job_config import JobConfig
from training.memory import Backward, Passes
from training.network import load_encoder
from training.ranks import ALONE, Ranks, end_with_parent, join
from training.train import train

MakeJob = Callable[..., Job]
STEPS = 12
"""Of an epoch: 96 rows in batches of 8."""
SHORT = {"max_tokens": 12, "epochs": 1}


@pytest.fixture
def together(make_job: MakeJob, tmp_path: Path) -> Callable[..., list[Ended]]:
    """Train a job in two processes."""

    def train_job(method: object = "full", at_step: Any = None, **options: Any) -> list[Ended]:
        return train_in_two(lambda: make_job(method, **{**SHORT, **options}), tmp_path, at_step)

    return train_job


@pytest.fixture
def reference(make_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Trained]:
    """Train a job in this process, which runs the part of the one, then that of the other."""

    def train_job(method: object = "full", **options: Any) -> Trained:
        job, done = make_job(method, **{**SHORT, **options}), 0

        def run(_passes: Passes, rows: NDArray[np.int64], backward: Backward, *_: Any) -> torch.Tensor:
            nonlocal done
            losses = []
            for number in (0, 1):
                part, share = Ranks(number, 2).part_of(rows)
                Ranks(number, 2).draw(job.config.train.seed, done)
                losses.append(backward(part, share))
            done += 1
            return torch.stack(losses).sum()

        with monkeypatch.context() as patch:
            patch.setattr(Passes, "run", run)
            return train(job)

    return train_job


def assert_same(weights: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert weights.keys() == other.keys()
    assert [name for name in weights if not torch.equal(weights[name], other[name])] == []


@pytest.mark.parametrize("method", [{"kind": "top_layers", "layers": 1}, "lora", "adalora"])
def test_two_processes_have_the_bits_of_one_that_adds_up_their_parts(
    together: Callable[..., list[Ended]], reference: Callable[..., Trained], method: object
) -> None:
    expected = reference(method)
    first, second = together(method)
    assert (first.code, second.code) == (0, 0)
    assert_same(first.weights, second.weights)
    assert_same(first.weights, expected.network.state_dict())
    assert first.loss == second.loss == expected.validation.loss
    assert first.details["epochs"] == expected.details["epochs"]


def test_each_sees_its_half_of_each_batch_and_each_row_is_seen_once_an_epoch(
    together: Callable[..., list[Ended]], reference: Callable[..., Trained]
) -> None:
    ended = together(epochs=2)
    assert_same(ended[0].weights, reference(epochs=2).network.state_dict())
    first, second = (each.seen for each in ended)
    assert len(first) == len(second) == 2 * STEPS
    assert {len(rows) for rows in (*first, *second)} == {4}
    for epoch in (0, 1):
        steps = slice(epoch * STEPS, (epoch + 1) * STEPS)
        rows = [row for batch in (*first[steps], *second[steps]) for row in batch]
        assert sorted(rows) == list(range(96))


def test_without_dropout_they_learn_what_one_process_learns(
    make_job: MakeJob, together: Callable[..., list[Ended]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for rounding. With dropout each draws for its own rows: as another seed would."""

    def load(*arguments: Any) -> PreTrainedModel:
        encoder = load_encoder(*arguments)
        for module in encoder.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        return encoder

    def open_exact(seed: int) -> Device:
        return replace(open_device(seed), bf16=False)

    monkeypatch.setattr("training.gradient.load_encoder", load)
    monkeypatch.setattr("training.job.open_device", open_exact)
    alone = train(make_job("full", **SHORT))
    first, _ = together()
    assert first.loss == pytest.approx(alone.validation.loss, rel=1e-3)
    for epoch, expected in zip(first.details["epochs"], alone.details["epochs"], strict=True):
        assert epoch["loss"] == pytest.approx(expected["loss"], rel=1e-3)
        assert epoch["validation"]["macro_f1"] == expected["validation"]["macro_f1"]


@pytest.mark.parametrize("victim", [0, 1])
def test_killed_one_takes_the_other_along_and_they_go_on_with_the_same_bits(
    together: Callable[..., list[Ended]],
    reference: Callable[..., Trained],
    monkeypatch: pytest.MonkeyPatch,
    victim: int,
) -> None:
    """The one that leads saves when the other is gone; gone itself, it has saved every step."""
    if victim == 0:
        monkeypatch.setattr("training.checkpoint.SECONDS", 0.0)
        monkeypatch.setattr("training.checkpoint.SHARE", float("inf"))

    def kill(number: int, step: int) -> None:
        if number == victim and step == 7:
            os.kill(os.getpid(), signal.SIGKILL)

    ended = together(at_step=kill)
    assert ended[victim].code == -signal.SIGKILL
    assert ended[1 - victim].code == TransientError.exit_code
    first, second = together()
    assert first.details["resumed_at"] == second.details["resumed_at"] == [6]
    assert_same(first.weights, second.weights)
    assert_same(first.weights, reference().network.state_dict())


def test_asked_to_end_the_one_that_leads_saves_where_all_stand(
    together: Callable[..., list[Ended]], tmp_path: Path
) -> None:
    def ask(_number: int, step: int) -> None:
        if step == 7:
            signal.raise_signal(signal.SIGTERM)

    assert [each.code for each in together(at_step=ask)] == [75, 75]
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-7"]
    assert together()[0].details["resumed_at"] == [7]


def test_a_whole_job_leaves_one_result_one_journal_and_the_cost_of_both(
    make_config: Callable[..., JobConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "work" / "config.json"
    path.parent.mkdir()
    path.write_text(make_config("full", **SHORT).model_dump_json())
    spent = tmp_path / "spent"

    def read(self: Meter, device: Device) -> dict[str, Any]:
        found = whole(self, device)
        with spent.open("a") as file:
            file.write(f"{found['cpu_seconds']}\n")
        return found

    def work(_number: int) -> None:
        monkeypatch.setattr(sys, "argv", ["training.train", "--config", str(path)])
        main(train)

    def export(*told: Any, into: Path, **__: Any) -> SimpleNamespace:
        into.mkdir()  # fails when both do it
        return SimpleNamespace(digest="d" * 64, description=told[2])

    whole = Meter.read
    monkeypatch.setattr("training.job.export_artifact", export)  # its own tests do it in earnest
    monkeypatch.setattr(Meter, "read", read)
    monkeypatch.setattr("training.job.cost_of_launcher", lambda: 100.0)
    assert in_two(work) == [0, 0]
    found = json.loads((path.parent / "result.json").read_text())
    assert found["processes"] == 2
    assert found["cost"]["cpu_seconds"] == pytest.approx(100 + sum(map(float, spent.read_text().split())))
    assert [file.stem for file in (tmp_path / "journals").rglob("*.jsonl")] == [found["run"]]
    assert not (path.parent / "checkpoints").exists()


@pytest.mark.parametrize(("rows", "count"), [(8, 2), (7, 2), (1, 2), (3, 4)])
def test_every_row_counts_once_whatever_the_size_of_a_batch(rows: int, count: int) -> None:
    batch = np.arange(10, 10 + rows)
    parts = [Ranks(number, count).part_of(batch) for number in range(count)]
    counted = [row for part, share in parts if share for row in part]
    assert sorted(counted) == batch.tolist()
    assert all(len(part) for part, _ in parts), "without a row there is no gradient"
    assert sum(share for _, share in parts) == pytest.approx(1)
    assert max(len(part) for part, _ in parts) <= Ranks(0, count).most_of(rows)


def test_one_process_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "8")  # of a cluster that has started something else
    assert join() == ALONE
    batch = np.arange(5)
    assert ALONE.part_of(batch)[0].tolist() == batch.tolist()
    assert ALONE.part_of(batch)[1] == 1.0
    before = torch.get_rng_state()
    ALONE.draw(17, 3)
    assert torch.equal(torch.get_rng_state(), before)


def test_on_a_cpu_the_free_memory_is_for_all_and_a_device_is_for_one() -> None:
    ranks = Ranks(1, 4)
    assert ranks.memory(100, torch.device("cpu")) == 25
    assert ranks.memory(100, torch.device("cuda")) == 100


def test_a_process_ends_with_the_one_that_started_it() -> None:
    reading, writing = os.pipe()
    if (parent := os.fork()) == 0:
        if os.fork() == 0:
            end_with_parent()
            os.write(writing, b"ready")
            time.sleep(60)
            os._exit(0)
        os.read(reading, 5)
        os._exit(0)
    os.waitpid(parent, 0)
    os.close(writing)
    began = time.monotonic()
    assert os.read(reading, 1) == b"", "closed by the last process that had it"
    assert time.monotonic() - began < 30
