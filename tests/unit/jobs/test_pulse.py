from __future__ import annotations

import os
from pathlib import Path

import pytest

from lakeloop.jobs.pulse import LEAST_SECONDS, Pulse, Watcher


class Clock:
    """A time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("lakeloop.jobs.pulse.time", clock)
    return clock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pulse"


def test_who_takes_long_steps_may_be_silent_for_long(path: Path, clock: Clock) -> None:
    pulse = Pulse(path)
    pulse.beat()
    assert float(path.read_text()) == LEAST_SECONDS
    clock.now += 40
    pulse.beat()
    assert float(path.read_text()) == 20 * 40


def test_a_silence_longer_than_the_job_said_is_seen(path: Path, clock: Clock) -> None:
    pulse, watcher = Pulse(path), Watcher(path)
    for _ in range(4):
        clock.now += 5
        pulse.beat()
        os.utime(path, ns=(0, int(clock.now * 1e9)))
        assert watcher.silent_seconds() is None
    for _ in range(int(LEAST_SECONDS / 2)):
        clock.now += 2
        assert watcher.silent_seconds() is None
    clock.now += 2
    assert watcher.silent_seconds() == LEAST_SECONDS + 2


def test_a_machine_that_slept_hangs_not(path: Path, clock: Clock) -> None:
    Pulse(path).beat()
    watcher = Watcher(path)
    for _ in range(3):
        clock.now += 8 * 3600
        assert watcher.silent_seconds() is None


def test_before_the_first_step_and_after_the_last_one_there_is_no_limit(path: Path, clock: Clock) -> None:
    pulse, watcher = Pulse(path), Watcher(path)
    for _ in range(100):
        clock.now += 100
        assert watcher.silent_seconds() is None
    pulse.beat()
    assert watcher.silent_seconds() is None
    pulse.rest()
    for _ in range(100):
        clock.now += 100
        assert watcher.silent_seconds() is None
    assert not path.exists()


def test_many_steps_a_second_touch_the_file_once_a_second(path: Path, clock: Clock) -> None:
    pulse = Pulse(path)
    pulse.beat()
    os.utime(path, (1, 1))
    clock.now += 0.9
    pulse.beat()
    assert path.stat().st_mtime == 1
    clock.now += 0.2
    pulse.beat()
    assert path.stat().st_mtime > 1


def test_without_a_file_nothing_happens(path: Path) -> None:
    pulse = Pulse()
    pulse.beat()
    pulse.rest()
    assert not path.exists()


def test_a_folder_that_takes_nothing_ends_no_job(path: Path) -> None:
    path.mkdir()
    Pulse(path).beat()
