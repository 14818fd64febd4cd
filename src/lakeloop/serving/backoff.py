"""How long to wait for what is away: ever longer, up to a limit, however often it failed."""

from __future__ import annotations

LONGEST_SECONDS = 60.0
_MOST_DOUBLINGS = 30
"""Far beyond the limit from any sensible start; a power without a bound overflows after some hours."""


class Backoff:
    """Seconds that double with each failure in a row, from `first`."""

    def __init__(self, first: float) -> None:
        self.failures = 0
        """In a row."""
        self._first = first

    @property
    def seconds(self) -> float:
        return min(LONGEST_SECONDS, self._first * 2.0 ** min(self.failures, _MOST_DOUBLINGS))

    def failed(self) -> None:
        self.failures += 1

    def worked(self) -> None:
        self.failures = 0
