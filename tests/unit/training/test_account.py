"""What a job has cost over several tries, also over those that were killed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from training import account
from training.account import Account
from training.cost import Meter
from training.device import Device

CPU = Device("CPU", torch.device("cpu"), bf16=False, threads=1)


def killed_after(seconds: float, begin: Callable[[], object]) -> None:
    """A copy of this process begins, uses so many CPU seconds and is killed without a word."""
    child = os.fork()
    if child == 0:
        begin()
        while time.process_time() < seconds:
            pass
        os.kill(os.getpid(), signal.SIGKILL)
    assert os.WIFSIGNALED(os.waitpid(child, 0)[1])


def test_a_try_that_was_killed_counts_up_to_its_last_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account, "SECONDS", 0.05)
    folder = tmp_path / "spent"
    for _ in range(2):
        killed_after(0.4, lambda: Meter(tmp_path, Account(folder)).__enter__())
    with Meter(tmp_path, Account(folder)) as meter:
        own = Meter(tmp_path).read(CPU)
        found = meter.read(CPU)
    assert found["tries"] == 3
    assert 0.6 <= found["cpu_seconds"] - own["cpu_seconds"] <= 0.9
    assert found["wall_seconds"] >= 0.6
    assert found["peak_memory_mb"] >= own["peak_memory_mb"]


def test_seconds_and_energy_are_summed_and_of_memory_the_most_counts(tmp_path: Path) -> None:
    first, second, last = (Account(tmp_path / "spent") for _ in range(3))
    first.keep(lambda: {"wall_seconds": 10.0, "cpu_seconds": 8.0, "peak_memory_mb": 900.0})
    energy = {"energy_joules": 5.0, "energy_of": {"cpu": 5.0}}
    second.keep(lambda: {"wall_seconds": 1.0, "cpu_seconds": 2.0, "peak_memory_mb": 400.0, **energy})
    for ended in (first, second):
        ended.close()
    total = last.total({"wall_seconds": 0.5, "cpu_seconds": 0.25, "peak_memory_mb": 500.0, **energy})
    assert total == {
        "wall_seconds": 11.5, "cpu_seconds": 10.25, "peak_memory_mb": 900.0,
        "energy_joules": 10.0, "energy_of": {"cpu": 10.0}, "tries": 3,
    }  # fmt: skip


def test_a_spoilt_entry_is_told_and_costs_the_others_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    earlier = Account(tmp_path)
    earlier.keep(lambda: {"cpu_seconds": 1.0})
    earlier.close()
    (tmp_path / "1-1.json").write_text("")
    assert Account(tmp_path).total({"cpu_seconds": 1.0}) == {"cpu_seconds": 2.0, "tries": 2}
    assert "the cost of an earlier try is not known" in caplog.text


def test_a_first_try_says_nothing_of_tries_and_a_done_job_leaves_nothing(tmp_path: Path) -> None:
    only = Account(tmp_path / "spent")
    only.keep(lambda: {"cpu_seconds": 1.0})
    only.close()
    assert only.total({"cpu_seconds": 3.0}) == {"cpu_seconds": 3.0}
    only.clear()
    assert list(tmp_path.iterdir()) == []
