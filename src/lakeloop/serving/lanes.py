"""A bounded number of requests in the models and before them; further requests are told to come back.

The models of all loops run in the same few threads: the cores are shared too, and health checks are answered
while these threads work. A request is worked on piece by piece, and after each piece it is decided anew whose
turn it is (`turns`). Short requests that wait at the same moment are one piece of work: none waits for others
to come, but a call for many costs less than many calls. A call of a network cannot be broken off, so short
work has threads of its own: a single text does not wait until a batch of long ones is through. The work comes
from `app`.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from lakeloop.inference.pieces import Pieces
from lakeloop.serving.guard.problems import TIMEOUT, unavailable
from lakeloop.serving.metrics import ServerMetrics
from lakeloop.serving.turns import Joint, Turns, Work

T = TypeVar("T")

_LOWER = 5
"""Niceness of the threads for long work: where cores are short, short work goes before it."""


class InferenceQueue:
    """Works in `lanes` threads, and in as many for short work; at most `waiting` more requests may wait."""

    def __init__(self, lanes: int, waiting: int, metrics: ServerMetrics) -> None:
        self._room = lanes + waiting
        self._room_of_long = lanes + waiting // 2
        self._pending: set[Work] = set()
        self._turns = Turns()
        self._lock = threading.Lock()
        # One for each queue: a thread that wakes for nothing holds up those that work.
        self._come = {short: threading.Condition(self._lock) for short in (True, False)}
        self._closed = False
        self._gauge = metrics.pending
        self._threads = [
            threading.Thread(target=self._work, args=(short,), name=f"inference-{number}", daemon=True)
            for number, short in enumerate([True, False] * lanes)
        ]
        for thread in self._threads:
            thread.start()

    async def run(self, pieces: Pieces[T], seconds: float, size: int, joint: Joint | None = None) -> T:
        """The result of `pieces`, worked on in threads; long ones, by `size` in tokens, find less room.

        Short ones that wait at the same moment are answered together, where they are `joint`. After `seconds`
        no further piece is begun.

        Raises:
            ProblemError: 503, because no more may wait or because `seconds` have passed.
        """
        answer: Future[T] = Future()
        self._enter(Work(pieces, answer, size, joint=joint))
        try:
            return await asyncio.wait_for(asyncio.wrap_future(answer), seconds)
        except TimeoutError:
            raise unavailable(TIMEOUT, f"not answered within {seconds:.3g} s; try again soon") from None

    @property
    def idle(self) -> bool:
        """Nothing is worked on, and nothing waits."""
        return not self._pending

    def close(self, seconds: float | None = None) -> None:
        """Wait for the pieces that have begun, at most so long; nothing is begun after that."""
        with self._lock:
            self._closed = True
            left = self._turns.clear()
            for come in self._come.values():
                come.notify_all()
        for work in left:
            _cancel(work)
        deadline = None if seconds is None else time.monotonic() + seconds
        for thread in self._threads:
            thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))

    def _enter(self, work: Work) -> None:
        with self._lock:
            full = len(self._pending) >= self._room
            if not full and not work.short:
                full = sum(not other.short for other in self._pending) >= self._room_of_long
            if full or self._closed:
                waiting = f"{len(self._pending)} requests are waiting already"
                raise unavailable("overloaded", f"{waiting}; try again soon")
            self._pending.add(work)
            self._gauge.inc()
            self._add(work)  # what its first piece costs is not known: short

    def _add(self, work: Work) -> None:
        """Let a thread know of work; the lock is held."""
        self._come[self._turns.add(work)].notify()

    def _work(self, short: bool) -> None:
        if not short:
            lower_priority(_LOWER)
        while (work := self._next(short)) is not None:
            if work.over or not self._advance(work):
                self._leave(work)

    def _next(self, short: bool) -> Work | None:
        """Wait for the next turn; None when the queue is closed."""
        with self._lock:
            self._come[short].wait_for(lambda: self._closed or self._turns.has(short=short))
            if self._closed:
                return None
            work = self._turns.take(short=short)
            joint = work.joint
            others = self._turns.join(work) if short and not work.over else []
        return _joined(joint, [work, *others]) if joint and others else work

    def _advance(self, work: Work) -> bool:
        """Do the next piece; whether there is one more."""
        try:
            if work.members and not work.had:
                work.had = next(work.pieces)  # it is their turn already
            work.cost = next(work.pieces)
        except StopIteration as end:
            found = end.value if work.members else [end.value]
            for each, result in zip(work.members or (work,), found, strict=True):
                _tell(each, result)
            return False
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is for who waits
            if work.members:
                self._part(work)
                return True
            _tell(work, error)
            return False
        with self._lock:
            if self._closed:
                _cancel(work)
                return False
            self._add(work)
        return True

    def _part(self, work: Work) -> None:
        """Let each of those that failed together be worked on alone."""
        with self._lock:
            for member in work.members:
                member.joint = None
                if self._closed:
                    member.answer.cancel()
                self._add(member)

    def _leave(self, work: Work) -> None:
        work.pieces.close()
        for member in work.members:
            member.pieces.close()
        with self._lock:
            left = work.members or (work,)
            self._pending.difference_update(left)
            self._gauge.dec(len(left))


def lower_priority(niceness: int) -> None:
    """Let this thread go after others where cores are scarce."""
    if sys.platform == "linux":  # where a thread has a priority of its own
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)


def _joined(first: Joint, works: Sequence[Work]) -> Work:
    """One piece of work that answers all of `works`, those that are joined to the `first`."""
    pieces = first.together([first, *(work.joint for work in works[1:])])
    return Work(pieces, Future(), sum(work.size for work in works), members=works)


def _tell(work: Work, found: Any) -> None:
    """Give what was found, or the error, to who waits."""
    if not work.answer.set_running_or_notify_cancel():
        return
    if isinstance(found, BaseException):
        work.answer.set_exception(found)
    else:
        work.answer.set_result(found)


def _cancel(work: Work) -> None:
    for each in work.members or (work,):
        each.answer.cancel()
