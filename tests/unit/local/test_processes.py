"""A stop ends a component with all its children, also when the component itself was killed before."""

from __future__ import annotations

import os
import signal
import stat
import sys
from pathlib import Path

import psutil
import pytest

from lakeloop.errors import ServiceError
from lakeloop.local.processes import Component, require_alive, start, stop
from tests.support.waiting import until

PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def family(tmp_path: Path) -> tuple[Component, psutil.Process]:
    """A component and the child it started."""
    log = tmp_path / "logs" / "parent.log"
    argv = [sys.executable, "-c", PARENT]
    component = start("parent", argv, env=dict(os.environ), log=log, cwd=tmp_path)
    until(lambda: log.read_text().strip())
    return component, psutil.Process(int(log.read_text()))


def test_a_stop_ends_the_children_too(family: tuple[Component, psutil.Process]) -> None:
    component, child = family
    assert component.alive
    stop([component])
    assert not component.alive
    assert not _runs(child)


def test_the_children_of_a_killed_component_are_found_and_ended(
    family: tuple[Component, psutil.Process],
) -> None:
    component, child = family
    os.kill(component.pid, signal.SIGKILL)
    os.waitpid(component.pid, 0)
    assert _runs(child)
    stop([component])
    assert not _runs(child)


@pytest.mark.usefixtures("usual_umask")
def test_what_a_component_makes_is_for_its_user_alone(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", "import pathlib; pathlib.Path('made').touch()"]
    component = start("writer", argv, env=dict(os.environ), log=tmp_path / "writer.log", cwd=tmp_path)
    until(lambda: not component.alive)
    assert stat.S_IMODE((tmp_path / "made").stat().st_mode) == 0o600


def test_another_process_with_the_same_number_is_left_alone(
    family: tuple[Component, psutil.Process],
) -> None:
    component, child = family
    stop([component.model_copy(update={"started": component.started - 100})])
    assert component.alive
    assert _runs(child)
    stop([component])


def test_a_component_that_ended_by_itself_is_told_with_its_last_words(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", "print('no port'); raise SystemExit(3)"]
    component = start("server", argv, env=dict(os.environ), log=tmp_path / "server.log", cwd=tmp_path)
    until(lambda: not component.alive)
    with pytest.raises(ServiceError, match=r"server ended by itself\n  found: no port"):
        require_alive(component)


def _runs(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
