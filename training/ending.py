"""SIGTERM, by which a job is asked to end: at once, or where its work can be taken up again."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from lakeloop.errors import TransientError

WAIT_SECONDS = 4.0
"""How long such a place may take to come: a runner ends the job 10 s after it asked."""


class Ending:
    """The wish that the job ends."""

    def __init__(self) -> None:
        self.asked = False
        """Whether somebody wishes it; then the work is to be saved, and `error` raised."""
        self._deferred = False
        self._saving = False

    def listen(self) -> None:
        """Take the wish from SIGTERM. Of the main thread only."""
        signal.signal(signal.SIGTERM, self._on_wish)
        signal.signal(signal.SIGALRM, self._on_alarm)

    @property
    def error(self) -> TransientError:
        return TransientError(
            "job was asked to end", remedy="submit it again; it goes on from its last checkpoint"
        )

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """In the block `asked` is looked at; where that takes over `WAIT_SECONDS` the job ends all the same.

        Raises:
            TransientError: the job was asked to end, outside of the block as soon as it was.
        """
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False
            if self.asked:
                signal.setitimer(signal.ITIMER_REAL, 0)
        if self.asked:
            raise self.error

    @contextmanager
    def saving(self) -> Iterator[None]:
        """What is saved in the block is saved whole, however long that takes."""
        self._saving = True
        try:
            yield
        finally:
            self._saving = False

    def _on_wish(self, _number: int, _frame: object) -> None:
        self.asked = True
        if not self._deferred:
            raise self.error
        signal.setitimer(signal.ITIMER_REAL, WAIT_SECONDS)

    def _on_alarm(self, _number: int, _frame: object) -> None:
        if self._deferred and not self._saving:
            raise self.error
