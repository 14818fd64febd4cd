"""Processes of the local stack: each in a session of its own, so that a stop ends it with all its children.

Killing only a parent leaves Airflow's executor and log-server processes behind; a group has no orphans.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from lakeloop.errors import ServiceError
from lakeloop.jobs.state import ProcessIdentity
from lakeloop.records import Frozen
from lakeloop.settings import PRIVATE_UMASK


class Component(Frozen):
    """One running process; the start time tells it from a later process with the same id."""

    name: str
    pid: int
    started: float
    log: str
    argv: tuple[str, ...]

    @property
    def alive(self) -> bool:
        return ProcessIdentity(pid=self.pid, started=self.started).find() is not None

    def log_tail(self, lines: int = 15) -> str:
        path = Path(self.log)
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""


def start(name: str, argv: Sequence[str], *, env: Mapping[str, str], log: Path, cwd: str | Path) -> Component:
    """Start `argv` as the leader of a new session, its output appended to `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            argv,
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=PRIVATE_UMASK,
        )
    started = psutil.Process(process.pid).create_time()
    return Component(name=name, pid=process.pid, started=started, log=str(log), argv=tuple(argv))


def restart(component: Component, *, env: Mapping[str, str], cwd: str | Path) -> Component:
    """Start what `component` was once more; nothing of it may be left (see `stop`)."""
    return start(component.name, component.argv, env=env, log=Path(component.log), cwd=cwd)


def require_alive(component: Component) -> None:
    """Raise when a process that should run has ended.

    Raises:
        ServiceError: with the last lines of its log.
    """
    _reap(component.pid)
    if not component.alive:
        raise ServiceError(
            f"{component.name} ended by itself",
            where=component.log,
            found=component.log_tail(),
            remedy=f"read {component.log}",
        )


def stop(components: Sequence[Component], *, grace: float = 15.0) -> None:
    """End the groups of `components`: ask all of them, wait up to `grace` seconds, then kill what is left."""
    alive = [c for c in components if _has_group(c)]
    for component in alive:
        _signal_group(component.pid, signal.SIGTERM)
    deadline = time.monotonic() + grace
    while time.monotonic() < deadline and any(_group_lives(c.pid) for c in alive):
        time.sleep(0.1)
    for component in alive:
        _signal_group(component.pid, signal.SIGKILL)
        _reap(component.pid)


def _has_group(component: Component) -> bool:
    """True while its group has members; a leader that was killed leaves its children behind.

    The number of a group is not given to a new process while the group lives: when another process has it,
    nothing of ours is left.
    """
    _reap(component.pid)
    return component.alive or (_is_gone(component.pid) and _group_lives(component.pid))


def _is_gone(pid: int) -> bool:
    """Whether no process of this number runs; an ended one may still wait to be collected by its parent."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _group_lives(group: int) -> bool:
    _reap(group)
    return any(_in_group(process, group) for process in psutil.process_iter())


def _in_group(process: psutil.Process, group: int) -> bool:
    try:
        return os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, psutil.NoSuchProcess):
        return False


def _signal_group(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return


def _reap(pid: int) -> None:
    """Collect the exit status when it is our child; when another process started it, its parent does."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return
