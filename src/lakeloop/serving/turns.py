"""Whose turn it is: the order in which pieces of requests are worked on, by the tokens that they cost.

Short work (a request's first tokens) and long work (all after that) have a queue each, and each queue has
threads of its own, so that neither waits for the other. Short work is done as it comes, together with what is
of its length. Of long work the next
piece is that of the request which would be through first if all were dealt the same tokens (the fair sojourn
protocol, Friedman and Henderson 2003): none is through later than then, one that asks for much waits for
itself, and when there is too much to do some are answered and not all late.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol

from lakeloop.inference.batches import MAX_BATCH_TOKENS
from lakeloop.inference.pieces import Pieces

SHORT_TOKENS = 256
"""A request is short until it has had so many tokens: one text of the usual length, or twenty sentences."""
MOST_TOGETHER = 32
"""Requests that one call of a model may answer; more gain nothing on a CPU."""
CLOSE_TOKENS = 2
"""Requests whose texts differ by so much are answered together. In one call they cost less than in two, with
their padding, and the others are left to choose from at the next turn: of 32 clients with a question each, a
text costs 11 % more than in one pass over all texts, sorted, and 15 % with all that wait (simulated)."""


class Joint(Protocol):
    """A request that can be answered together with others, once its texts are read."""

    key: object
    """Of those with the same one some are taken together; None while it cannot be."""
    length: int
    """Tokens of its longest text."""

    def together(self, others: Sequence[Any]) -> Pieces[list[Any]]:
        """What each of `others`, itself among them, is answered; their next piece is its first.

        What it raises befalls all of them; each is then worked on alone.
        """


@dataclass(eq=False)
class Work:
    """A request on its way through the models."""

    pieces: Generator[int, None, Any]
    answer: Future[Any]
    size: int
    """Tokens that all of it costs, as far as can be told before it begins."""
    had: int = 0
    """Tokens that were spent on it."""
    cost: int = 0
    """Tokens that its next piece costs; 0 before its texts are read, which costs less than any call."""
    number: int = 0
    """Of equals the first one goes first."""
    end: float | None = None
    """When it would be through, by the count of `Turns`; None until it is long."""
    joint: Joint | None = None
    """What others can be joined to, until a network has begun with it."""
    members: Sequence[Work] = ()
    """The requests that this is all of, where it is several."""

    @property
    def short(self) -> bool:
        """As far as can be told before it begins; see `Turns.add`."""
        return self.size <= SHORT_TOKENS

    @property
    def over(self) -> bool:
        """Nobody waits for it any more."""
        if self.members:
            return all(member.over for member in self.members)
        return self.answer.cancelled()

    @property
    def allowance(self) -> int:
        """Tokens that it may have and still is short."""
        return SHORT_TOKENS * max(1, len(self.members))


@dataclass
class Turns:
    """The work that waits. Not safe to use from several threads at once."""

    _new: deque[Work] = field(default_factory=deque)
    """Short ones whose texts are not read yet; they go first, so that there is more to choose from."""
    _short: deque[Work] = field(default_factory=deque)
    _long: list[tuple[float, int, Work]] = field(default_factory=list)
    _count: float = 0
    """Tokens that each long request would have had by now that has been here from the start."""
    _number: int = 0

    def has(self, *, short: bool) -> bool:
        """Whether there is short work, or else long."""
        return bool((self._new or self._short) if short else self._long)

    def add(self, work: Work) -> bool:
        """Work whose next piece, of `work.cost` tokens, may be done now; returns whether it is short."""
        if work.had + work.cost <= work.allowance:
            if work.short and not work.cost:
                self._new.append(work)
            elif work.members:
                self._short.appendleft(work)  # the rest of a call: it was taken in its turn
            else:
                self._short.append(work)
            return True
        if work.end is None:
            work.end = self._count + max(work.size, work.had + work.cost)
            self._number += 1
            work.number = self._number
        heapq.heappush(self._long, (work.end, work.number, work))
        return False

    def take(self, *, short: bool) -> Work:
        """The short work, or else the long, whose turn it is.

        Raises:
            IndexError: there is none.
        """
        if short:
            work = (self._new or self._short).popleft()
        else:
            _, _, work = heapq.heappop(self._long)
            self._count += work.cost / (len(self._long) + 1)
        work.had += work.cost
        return work

    def join(self, work: Work) -> list[Work]:
        """Take the short work that is to be answered together with `work`, which was just taken."""
        joint, found, cost = work.joint, list[Work](), work.cost
        if joint is None or joint.key is None:
            return found
        left: deque[Work] = deque()
        for other in self._short:
            fits = len(found) + 1 < MOST_TOGETHER and cost + other.cost <= MAX_BATCH_TOKENS
            if fits and not other.over and _alike(joint, other.joint):
                found.append(other)
                cost += other.cost
            else:
                left.append(other)
        self._short = left
        work.joint = None  # it begins
        return found

    def clear(self) -> list[Work]:
        """Take all of it."""
        left = [*self._new, *self._short, *(work for _, _, work in self._long)]
        self._new.clear()
        self._short.clear()
        self._long.clear()
        return left


def _alike(one: Joint, other: Joint | None) -> bool:
    if other is None or other.key != one.key:
        return False
    return abs(other.length - one.length) <= CLOSE_TOKENS
