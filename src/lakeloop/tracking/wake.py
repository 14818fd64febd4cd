"""How a process that wrote a journal gets the mirror going, without waiting for it.

The rule that no journal is forgotten: a waker leaves its mark first and looks for a running mirror second;
a mirror takes the mark away before it looks for journals, and looks for a mark again after it let go of
its lock. Whatever the order, one of the two sees the other. What the mirror does is `mirror`.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path

from lakeloop.locks import locked
from lakeloop.settings import Settings

log = logging.getLogger(__name__)

LINGER_SECONDS = 20.0
"""A mirror stays that long without work: the next stage ends soon, and a start costs more than a copy."""
_LOCK = ".mirror.lock"
_MARK = ".mirror.wake"


def wake_mirror(settings: Settings) -> None:
    """See to it that a mirror looks at the journals after now; starts one when none runs. Never raises."""
    if settings.wandb_mode == "disabled" and not settings.tensorboard:
        return
    try:
        leave_mark(settings.journals)
        with mirror_lock(settings.journals) as free:
            pass
        if free:
            _start(settings)
    except OSError as error:
        log.warning("W&B mirror not started (%s); the journals wait for the next one", error)


def leave_mark(journals: Path) -> None:
    """Ask the mirror for a look at the journals."""
    journals.mkdir(parents=True, exist_ok=True)
    (journals / _MARK).touch()


def take_mark(journals: Path) -> None:
    """Remove the mark, if there is one."""
    (journals / _MARK).unlink(missing_ok=True)


def is_marked(journals: Path) -> bool:
    """Whether a waker's mark waits for the mirror."""
    return (journals / _MARK).exists()


def mirror_lock(journals: Path) -> AbstractContextManager[bool]:
    """Hold the right to mirror, if it is free: yields whether it was. A kill of its holder frees it."""
    journals.mkdir(parents=True, exist_ok=True)
    return locked(journals / _LOCK, wait=False)


def _start(settings: Settings) -> None:
    log_file = settings.home / "logs" / "mirror.log"
    log_file.parent.mkdir(parents=True, exist_ok=True)
    argv = [sys.executable, "-m", "lakeloop.tracking.mirror"]
    argv += ["--journals", str(settings.journals), "--wandb-dir", str(settings.wandb_dir)]
    argv += ["--linger", str(LINGER_SECONDS)]
    if settings.wandb_mode == "disabled":
        argv.append("--no-wandb")
    if settings.tensorboard:
        argv += ["--tensorboard", str(settings.boards)]
    # The shell ends at once and the mirror is nobody's child: no zombie is left in a long-lived process.
    with log_file.open("ab") as output:
        subprocess.run(
            ["/bin/sh", "-c", 'nice -n 15 "$@" &', "mirror", *argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd=settings.root,
            env={**os.environ, "WANDB_MODE": settings.wandb_mode},
            check=False,
        )
