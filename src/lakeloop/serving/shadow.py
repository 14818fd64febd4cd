"""The shadow of a champion: a version that is asked what the champion was, and nobody gets its answers.

It is asked after the client has its answer, by one thread of a lower priority, only while no request is
worked on or waits, and for a quarter of the time at most. What it has no time for is counted and left out,
never waited for.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence

from lakeloop.records import now
from lakeloop.serving.exchange import Exchange
from lakeloop.serving.lanes import lower_priority
from lakeloop.serving.log.observations import Observed, in_words
from lakeloop.serving.slots import Challenger, ServedModel
from lakeloop.tasks.base import Answer

log = logging.getLogger(__name__)

_NICENESS = 10
"""Where cores are short, clients go before it. Not more: now and then it holds what all threads need, and it
would get no core to give it back."""
_REST = 3.0
"""Times the seconds that it worked, it rests: it takes a quarter of a core at most."""
_MOST_REST_SECONDS = 10.0
_QUIET_SECONDS = 0.005
"""Between two looks whether requests are worked on."""


class _NoTimeError(Exception):
    """Requests were worked on all the time, or the server stops."""


class Shadow:
    """Asks the versions in the shadow of their champions, of all loops of a server."""

    def __init__(self, waiting: int, patience: float, idle: Callable[[], bool]) -> None:
        """`waiting` requests may wait, each `patience` seconds until nothing else is done: `idle` says so."""
        self._waiting: queue.Queue[Exchange | None] = queue.Queue(max(1, waiting))
        self._patience = patience
        self._idle = idle
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)
        self._thread.start()

    def offer(self, exchange: Exchange) -> None:
        """Ask the shadow of its loop the same later, if there is one. Waits for nothing, raises nothing."""
        challenger = exchange.served.slots.challenger.asked_in("shadow")
        if challenger is None or not exchange.rows or not challenger.tally.may_ask():
            return
        try:
            self._waiting.put_nowait(exchange)
        except queue.Full:
            exchange.served.metrics.roles["shadow"].dropped.inc()

    def close(self, seconds: float) -> None:
        """Begin no further piece; wait for one that has begun at most so long."""
        self._stopping.set()
        with contextlib.suppress(queue.Full):  # it does not wait for more then
            self._waiting.put_nowait(None)
        self._thread.join(seconds)

    def _run(self) -> None:
        lower_priority(_NICENESS)
        while (exchange := self._waiting.get()) is not None and not self._stopping.is_set():
            challenger = exchange.served.slots.challenger.asked_in("shadow")
            if challenger and challenger.model:
                worked = self._ask(exchange, challenger, challenger.model)
                self._stopping.wait(min(_MOST_REST_SECONDS, _REST * worked))

    def _ask(self, exchange: Exchange, challenger: Challenger, model: ServedModel) -> float:
        """Ask, and keep what it says; seconds that it worked."""
        metrics = exchange.served.metrics.roles["shadow"]
        answers: Sequence[Answer] = ()
        why, began = "", time.monotonic()
        try:
            answers, seconds = self._answers(exchange, model)
        except _NoTimeError:
            metrics.dropped.inc()
            return 0.0
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what was found out
            seconds, why = time.monotonic() - began, in_words(error)
        if self._stopping.is_set():
            return seconds
        if why:
            metrics.failed.inc()
            if challenger.tally.failed(why):
                said = challenger.tally.stopped
                log.error("%s: %s is stopped: %s", exchange.served.name, model.release.version, said)
        else:
            metrics.answered(len(exchange.rows), seconds)
            challenger.tally.answered()
        exchange.served.observations.record(
            Observed(
                request_id=exchange.request_id,
                at=now(),
                model_version=model.release.version,
                role="shadow",
                rows=exchange.rows,
                latency_ms=seconds * 1000,
                answers=answers,
                error=why,
            )
        )
        return seconds

    def _answers(self, exchange: Exchange, model: ServedModel) -> tuple[Sequence[Answer], float]:
        """What it answers, and the seconds that it took to work that out, without those that it waited."""
        pieces, worked, deadline = exchange.answers_of(model), 0.0, time.monotonic() + self._patience
        while True:
            self._await_quiet(deadline)
            began = time.monotonic()
            try:
                next(pieces)
            except StopIteration as end:
                return end.value, worked + time.monotonic() - began
            worked += time.monotonic() - began

    def _await_quiet(self, deadline: float) -> None:
        while not self._idle():
            if time.monotonic() > deadline or self._stopping.wait(_QUIET_SECONDS):
                raise _NoTimeError
