"""Signs of life of a job: a file that the job touches while it works, and that its runner looks at.

A process that hangs is alive, holds its memory and its GPU, and ends never. Only the job knows how long its
steps take, so the file says for how long it may be silent; without the file a job may be silent at will.
"""

from __future__ import annotations

import math
import os
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

LEAST_SECONDS = 300.0
"""Nobody is taken for hanging before: a busy machine, a disk that is slow for a while."""
_TIMES = 20
"""The same as a multiple of the longest time between two beats so far."""
_TOUCH_SECONDS = 1.0
_LOOK_SECONDS = 5.0
"""Counts at most for one look of the runner."""


@dataclass
class Pulse:
    """The side of the job; without a path it does nothing."""

    path: Path | None = None
    _beaten: float | None = None
    _touched: float = 0.0
    _longest: float = 0.0
    _limit: float = 0.0

    def beat(self) -> None:
        """A step was done. Often called: it touches the file once a second."""
        if self.path is None:
            return
        now = time.monotonic()
        self._longest = max(self._longest, 0.0 if self._beaten is None else now - self._beaten)
        self._beaten = now
        if self._limit and now - self._touched < _TOUCH_SECONDS:
            return
        self._touched = now
        limit = max(LEAST_SECONDS, _TIMES * self._longest)
        with suppress(OSError):  # a full disk is no reason to end: the file is there, or nobody watches
            if limit > self._limit:
                self.path.write_text(f"{limit:.0f}\n")
                self._limit = limit
            else:
                os.utime(self.path)

    def rest(self) -> None:
        """What follows has no steps: the job may be silent."""
        self._beaten, self._limit = None, 0.0
        if self.path is not None:
            self.path.unlink(missing_ok=True)


@dataclass
class Watcher:
    """The side of the runner, which looks every second or so."""

    path: Path
    _seen: int = 0
    _looked: float = field(init=False)
    _silent: float = 0.0

    def __post_init__(self) -> None:
        self._looked = time.monotonic()

    def silent_seconds(self) -> float | None:
        """For how long the job has been silent, when that is longer than it said; else None."""
        try:
            changed, limit = self.path.stat().st_mtime_ns, float(self.path.read_text())
        except (OSError, ValueError):
            changed, limit = 0, math.inf
        # Where both were stopped, as by a machine that slept, the job had no time to give a sign either.
        now = time.monotonic()
        self._silent += min(now - self._looked, _LOOK_SECONDS)
        self._looked = now
        if changed != self._seen:
            self._seen, self._silent = changed, 0.0
        return self._silent if self._silent > limit else None
