"""Locks of files that the kernel frees when their holder dies, however it dies (flock; POSIX only).

Some are held on files with content, and some descriptors are kept for a process's life: `filelock` empties
the file that it locks, and keeps its descriptor to itself.
"""

from __future__ import annotations

import fcntl
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LOOK_EVERY_SECONDS = 0.02


def take(descriptor: int, *, seconds: float = 0.0) -> bool:
    """Lock the open file for this process alone, waiting for at most `seconds`; returns whether it is locked.

    Closing the descriptor frees the lock. `math.inf` waits for as long as it takes.
    """
    if math.isinf(seconds):
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return True
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_LOOK_EVERY_SECONDS)
        else:
            return True


@contextmanager
def locked(path: Path, *, wait: bool | float = True) -> Iterator[bool]:
    """Hold the lock of the file at `path`, which is made when it is not there: yields whether it is held.

    With `wait` it always is; without, it is not when another process holds the lock, and with a number it is
    not when another process holds it for so many seconds.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield take(descriptor, seconds=math.inf if wait is True else float(wait))
    finally:
        os.close(descriptor)


def is_locked(path: Path) -> bool:
    """True while some process holds the lock of `path`; a dead holder holds nothing."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CREAT, 0o600)
    try:
        # Shared, so that two who ask at once do not see each other.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)
