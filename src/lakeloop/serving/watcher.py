"""The threads that look after the slots of all loops: one looks at the registries, one loads what they name.

So a fetch that takes minutes does not keep a version in use that shall not answer any more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from lakeloop.serving.watch import LoopWatch


class Watcher:
    """Has all loops looked after, one after the other."""

    def __init__(
        self,
        watches: Sequence[LoopWatch],
        *,
        poll_seconds: float,
        more: Callable[[], Sequence[LoopWatch]] | None = None,
    ) -> None:
        """`more` is asked in each round for the watches of loops that have come; it raises nothing."""
        self._watches = tuple(watches)
        self._more = more
        self._poll_seconds = poll_seconds
        self._stopping = threading.Event()
        self._read = threading.Event()
        """A registry was looked at since the last round of loading."""
        self._threads = [
            threading.Thread(target=target, name=name, daemon=True)
            for target, name in ((self._look, "watcher"), (self._load, "loader"))
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the watching; the models stay in use until the process ends."""
        self._stopping.set()
        self._read.set()
        for thread in self._threads:
            thread.join(timeout=self._poll_seconds)

    def _look(self) -> None:
        while True:
            for watch in self._watches:
                watch.read()
                self._read.set()
                if self._stopping.is_set():
                    return
            if self._stopping.wait(self._poll_seconds):
                return
            if self._more:
                self._watches = (*self._watches, *self._more())

    def _load(self) -> None:
        while True:
            self._read.wait()
            self._read.clear()
            for watch in self._watches:
                if self._stopping.is_set():
                    return
                watch.load()
