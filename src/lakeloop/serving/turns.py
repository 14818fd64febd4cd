"""Whose turn it is: the order in which pieces of requests are worked on, by the tokens that they cost.

Short work (a request's first tokens) and long work (all after that) have a queue each, and each queue has
threads of its own, so that neither waits for the other. Short work is done as it comes. Long work is dealt
out token for token: the next piece is that of the request which has had the fewest since it came (start-time
fair queueing, Goyal, Vin and Cheng 1996), so that one that asks for much waits for itself.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Generator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

SHORT_TOKENS = 256
"""A request is short until it has had so many tokens: one text of the usual length, or twenty sentences."""


@dataclass(eq=False)
class Work:
    """A request on its way through the models."""

    pieces: Generator[int, None, Any]
    answer: Future[Any]
    short: bool
    """As far as can be told before it begins; see `Turns.add`."""
    had: int = 0
    """Tokens that were spent on it."""
    cost: int = 0
    """Tokens that its next piece costs."""
    start: int = 0
    """Where in the count of `Turns` its next piece begins."""

    @property
    def over(self) -> bool:
        """Nobody waits for it any more."""
        return self.answer.cancelled()


@dataclass
class Turns:
    """The work that waits. Not safe to use from several threads at once."""

    _short: deque[Work] = field(default_factory=deque)
    _long: list[tuple[int, int, Work]] = field(default_factory=list)
    _count: int = 0
    """Tokens that the long request whose turn was last had had, as they are dealt out."""
    _number: int = 0

    def has(self, *, short: bool) -> bool:
        """Whether there is short work, or else long."""
        return bool(self._short if short else self._long)

    def add(self, work: Work) -> None:
        """Work whose next piece, of `work.cost` tokens, may be done now."""
        if work.had + work.cost <= SHORT_TOKENS:
            self._short.append(work)
            return
        work.start = max(work.start, self._count)
        self._number += 1  # of equals the first
        heapq.heappush(self._long, (work.start, self._number, work))

    def take(self, *, short: bool) -> Work:
        """The short work, or else the long, whose turn it is.

        Raises:
            IndexError: there is none.
        """
        if short:
            work = self._short.popleft()
        else:
            self._count, _, work = heapq.heappop(self._long)
        work.had += work.cost
        work.start += work.cost
        return work

    def clear(self) -> list[Work]:
        """Take all of it."""
        left = [*self._short, *(work for _, _, work in self._long)]
        self._short.clear()
        self._long.clear()
        return left
