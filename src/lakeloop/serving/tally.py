"""How a version beside the champion does in this process, and when it is asked no more: a circuit breaker.

It only keeps one server from waiting for what fails each time; whether the trial ends is decided from the
table of observations, which this tally is no part of.
"""

from __future__ import annotations

import threading
import time

FAILURES_IN_A_ROW = 5
"""After so many the version is not asked any more, but to see whether it answers again."""
REST_SECONDS = 30.0
"""Between two such tries."""


class Tally:
    """Counts of one version in one phase. Safe to use from several threads."""

    def __init__(self) -> None:
        self.requests = 0
        """That it was asked and answered or failed on."""
        self.failures = 0
        self.stopped = ""
        """Why it is not asked any more; empty while it is."""
        self._in_a_row = 0
        self._not_before = 0.0
        self._lock = threading.Lock()

    def may_ask(self) -> bool:
        """Whether to ask it now. Where it was stopped this is a try, and the next is `REST_SECONDS` later."""
        with self._lock:
            if not self.stopped:
                return True
            if time.monotonic() < self._not_before:
                return False
            self._not_before = time.monotonic() + REST_SECONDS
            return True

    def answered(self) -> None:
        """It answered a request: it is asked again."""
        with self._lock:
            self.requests += 1
            self._in_a_row = 0
            self.stopped = ""

    def failed(self, why: str) -> bool:
        """It failed on a request; whether it is stopped by that."""
        with self._lock:
            self.requests += 1
            self.failures += 1
            self._in_a_row += 1
            if self._in_a_row < FAILURES_IN_A_ROW:
                return False
            stops = not self.stopped
            self.stopped = f"it failed {self._in_a_row} times in a row, at last: {why}"
            self._not_before = time.monotonic() + REST_SECONDS
            return stops
