"""The watcher with real processes that die: what it starts again, when, and when it gives up."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from lakeloop.local import stack as local_stack
from lakeloop.local.processes import Component, start, stop
from lakeloop.local.state import WATCHER, Stack, StackFile
from lakeloop.local.watcher import DELAYS, STEADY_SECONDS, Watcher
from lakeloop.settings import Settings
from tests.support.waiting import until

SLEEPS = (sys.executable, "-c", "import time; time.sleep(60)")
PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Watched:
    """A stack of the processes that a test starts, and its watcher."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.file = StackFile(settings)
        self.file.write(
            Stack(airflow_url="http://127.0.0.1:1", server_url="http://127.0.0.1:2", components=())
        )
        self.clock = Clock()
        self.watcher = Watcher(self.file, dict(os.environ), str(settings.root), self.clock)

    def add(self, name: str, *argv: str) -> Component:
        log = self.settings.home / "logs" / f"{name}.log"
        component = start(name, argv, env=dict(os.environ), log=log, cwd=self.settings.root)
        self.file.replace(component)
        return component

    def find(self, name: str) -> Component:
        stack = self.file.read()
        assert stack is not None
        return stack.component(name)

    def kill(self, name: str) -> None:
        component = self.find(name)
        os.kill(component.pid, signal.SIGKILL)
        until(lambda: not component.alive)

    def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds
        self.watcher.look()


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    watched = Watched(Settings(root=tmp_path))
    yield watched
    if stack := watched.file.read():
        stop(stack.components)


def test_what_died_is_started_again_at_once_and_a_line_says_so(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    other = watched.add("triggerer", *SLEEPS)
    first = watched.add("scheduler", *SLEEPS)
    watched.watcher.look()
    watched.kill("scheduler")
    watched.watcher.look()
    again = watched.find("scheduler")
    assert again.alive
    assert (again.name, again.argv, again.log) == (first.name, first.argv, first.log)
    assert again.pid != first.pid
    assert watched.find("triggerer") == other
    assert [record.getMessage() for record in caplog.records] == [
        f"scheduler (process {first.pid}) has died",
        f"scheduler started again as process {again.pid}, attempt 1 of {len(DELAYS)}; its log: {first.log}",
    ]


def test_what_the_dead_one_left_behind_is_ended_before(watched: Watched) -> None:
    component = watched.add("scheduler", sys.executable, "-c", PARENT)
    log = Path(component.log)
    until(lambda: log.read_text().strip())
    child = psutil.Process(int(log.read_text()))
    # Not collected by its parent, as when `lakeloop demo` is still there: a zombie leads the group.
    watched.kill("scheduler")
    watched.watcher.look()
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    assert watched.find("scheduler").alive


def test_attempts_are_made_less_and_less_often_and_then_no_more(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    watched.add("scheduler", *SLEEPS)
    watched.watcher.look()
    for delay in DELAYS:
        watched.kill("scheduler")
        dead = watched.find("scheduler")
        watched.watcher.look()
        if delay:
            assert watched.find("scheduler") == dead
            watched.pass_time(delay - 0.1)
            assert watched.find("scheduler") == dead
            watched.pass_time(0.2)
        assert watched.find("scheduler").alive
    watched.kill("scheduler")
    dead = watched.find("scheduler")
    for _ in range(3):
        watched.pass_time(1000)
    assert watched.find("scheduler") == dead
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(told) == 1
    assert told[0].startswith(
        f"scheduler died {len(DELAYS) + 1} times in a row: it stays down. See {dead.log}"
    )


def test_after_a_steady_life_a_death_is_the_first_again(watched: Watched) -> None:
    watched.add("scheduler", *SLEEPS)
    for _ in range(2 * len(DELAYS)):
        watched.watcher.look()
        watched.kill("scheduler")
        watched.watcher.look()
        assert watched.find("scheduler").alive
        watched.pass_time(STEADY_SECONDS + 1)


def test_its_own_death_is_not_its_business(watched: Watched) -> None:
    watched.add(WATCHER, *SLEEPS)
    watched.kill(WATCHER)
    dead = watched.find(WATCHER)
    watched.watcher.look()
    assert watched.find(WATCHER) == dead


def test_a_stop_ends_the_watcher_first_and_leaves_nothing(watched: Watched, tmp_path: Path) -> None:
    (tmp_path / "loops").mkdir()
    watched.add("scheduler", *SLEEPS)
    env = {**os.environ, "LAKELOOP_ROOT": str(tmp_path)}
    argv = [sys.executable, "-m", "lakeloop.local.watcher"]
    log = watched.settings.home / "logs/watcher.log"
    watched.file.replace(start(WATCHER, argv, env=env, log=log, cwd=tmp_path))
    watched.kill("scheduler")
    until(lambda: watched.find("scheduler").alive, log.read_text)
    again = watched.find("scheduler")
    assert local_stack.stop(watched.settings)
    assert not again.alive
    assert watched.file.read() is None
    assert f"scheduler started again as process {again.pid}" in log.read_text()
    assert not local_stack.stop(watched.settings)
