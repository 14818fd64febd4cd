"""What ended jobs leave for a next try that never came."""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from lakeloop.jobs.state import Workdir
from lakeloop.locks import is_locked, locked


def remove_checkpoints(work: Path, older_than: timedelta) -> list[Path]:
    """Remove the checkpoints of jobs anywhere below `work` that were last written so long ago.

    A job at work keeps its own, and the log and the inputs of an ended one stay. Returns what was removed.
    """
    removed = []
    oldest = time.time() - older_than.total_seconds()
    for path in sorted(work.rglob("job-*/checkpoints")):
        workdir = Workdir(path.parent)
        # Nobody submits the job meanwhile.
        with suppress(FileNotFoundError), locked(workdir.submit_lock, wait=False) as free:
            if free and path.stat().st_mtime <= oldest and not is_locked(workdir.run_lock):
                shutil.rmtree(path, ignore_errors=True)
                removed.append(path)
    return removed


def remove_job(folder: Path) -> None:
    """Remove the folder of an ended job, but for what its tries have cost where no result says that."""
    spent = Workdir(folder).spent
    if not spent.is_dir():
        shutil.rmtree(folder, ignore_errors=True)
        return
    for path in folder.iterdir():
        if path.is_dir() and path != spent:
            shutil.rmtree(path, ignore_errors=True)
        elif path != spent:
            path.unlink(missing_ok=True)
