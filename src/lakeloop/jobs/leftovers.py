"""What ended jobs leave: a folder each, and checkpoints for a next try that may never come.

Whoever takes something away holds the lock under which jobs are submitted, and looks again first. `job.json`
goes first: a removal that is killed leaves a job that never was, and no part of one that looks whole.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lakeloop.jobs.state import AT_WORK, Workdir
from lakeloop.locks import is_locked, locked
from lakeloop.removal import remove


def is_held(workdir: Workdir) -> bool:
    """Whether the job of a folder is being submitted, waits or runs; makes no file."""
    if any(path.exists() and is_locked(path) for path in (workdir.submit_lock, workdir.run_lock)):
        return True
    record = workdir.read_record()  # of a job on another machine, which has no lock here
    return record is not None and record.state in AT_WORK and not record.lost


def reserve(workdir: Workdir) -> None:
    """Make the folder of a job that is about to be submitted, and keep it from going for its age."""
    while True:
        workdir.path.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError), locked(workdir.submit_lock):
            # Who removed the folder meanwhile had the lock before: what is locked now is gone then.
            workdir.path.mkdir(parents=True, exist_ok=True)
            workdir.submit_lock.touch(mode=0o600)
            return


def last_used(workdir: Workdir, newest: float) -> float:
    """When a job was reserved or written to last, `newest` being the last change of a file of it."""
    try:
        return max(newest, workdir.submit_lock.stat().st_mtime)
    except OSError:
        return newest


@contextmanager
def left_alone(workdir: Workdir) -> Iterator[bool]:
    """Keep others from submitting the job meanwhile: yields whether it is neither submitted nor at work."""
    if not workdir.path.is_dir():
        yield False
        return
    known = workdir.submit_lock.exists()
    with locked(workdir.submit_lock, wait=False) as free:
        if free and not known:  # it says when the job was used last
            os.utime(workdir.submit_lock, (0, 0))
        yield free and not (workdir.run_lock.exists() and is_locked(workdir.run_lock))


def remove_job(folder: Path, *, log: bool = False) -> None:
    """Remove the folder of an ended job, but for what its tries have cost where no result says that.

    With `log` its log stays too.
    """
    workdir = Workdir(folder)
    stays = {path for path in (workdir.spent, *([workdir.log] if log else [])) if path.exists()}
    workdir.record.unlink(missing_ok=True)
    if not stays:
        remove(folder)
        return
    for path in [*folder.iterdir()]:
        if path not in stays:
            remove(path)
