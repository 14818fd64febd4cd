"""How long to wait for a service that is away: ever longer with each failure, up to a limit."""

from __future__ import annotations

LONGEST_SECONDS = 60.0
_MOST_DOUBLINGS = 30
"""Far beyond the limit from any sensible start; a power without a bound overflows after some hours."""


class Backoff:
    """Seconds that double with each failure in a row, from `first`."""

    def __init__(self, first: float) -> None:
        self.failures = 0
        """Failures in a row."""
        self._first = first

    @property
    def seconds(self) -> float:
        """How long to wait now."""
        return min(LONGEST_SECONDS, self._first * 2.0 ** min(self.failures, _MOST_DOUBLINGS))

    def failed(self) -> None:
        """Count a failure: the next wait is twice as long."""
        self.failures += 1

    def worked(self) -> None:
        """Begin again with the first wait."""
        self.failures = 0
