"""Waiting in tests for what another thread or process does, however busy the machine is."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE_SECONDS = 60.0
"""Longest that is waited; only what never comes about takes so long."""
Found = TypeVar("Found")


def until(
    look: Callable[[], Found],
    what: object = "it",
    *,
    seconds: float = PATIENCE_SECONDS,
    every: float = 0.01,
) -> Found:
    """The first of what `look` finds that is true, asked `every` so many seconds.

    `what` is waited for, for the message of the failure; called where it can be: a log to be read then.
    """
    deadline = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > deadline:
            told = what() if callable(what) else what
            raise AssertionError(f"{told} did not come about in {seconds:g} s")
        time.sleep(every)
    return found
