"""Which version a request is asked of, and who steps in: what one on trial does wrong harms no client.

A canary has threads of its own, so that one that hangs holds up nobody; it is given half of the time that its
client waits, and then the champion answers, within the same request. In a shadow nobody waits for (`shadow`).
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time

from lakeloop.inference.pieces import Pieces
from lakeloop.records import now
from lakeloop.serving.exchange import ByChampion, Exchange
from lakeloop.serving.guard.limits import Limits
from lakeloop.serving.guard.problems import TIMEOUT, ProblemError
from lakeloop.serving.lanes import InferenceQueue
from lakeloop.serving.log.observations import Observed, in_words
from lakeloop.serving.messages import PredictResponse
from lakeloop.serving.metrics import Role, ServerMetrics
from lakeloop.serving.router import canary_for
from lakeloop.serving.shadow import Shadow
from lakeloop.serving.slots import Challenger

log = logging.getLogger(__name__)

_OF_THE_TIME = 0.5
"""That its client still waits: what is left is the champion's."""


class _WithdrawnError(Exception):
    """An answer of a canary that nobody wants any more."""


class _Attempt:
    """One request to a canary. Either it answers or it is given up, whatever comes first, and not both."""

    def __init__(self, exchange: Exchange, challenger: Challenger) -> None:
        self.challenger = challenger
        self.response: PredictResponse | None = None
        self._exchange = exchange
        self._decided = threading.Lock()

    def pieces(self) -> Pieces[PredictResponse]:
        """Ask the canary, and log what it says.

        Raises:
            _WithdrawnError: the trial was ended, or the request given up.
            ProblemError: 422, the canary does not read such rows.
            Exception: whatever its model fails with.
        """
        exchange, model = self._exchange, self.challenger.model
        if model is None or not self._goes_on():
            raise _WithdrawnError
        answers = yield from exchange.answers_of(model)
        if not self._goes_on():
            raise _WithdrawnError
        self.response = exchange.response(model, answers)
        if not self._decided.acquire(blocking=False):
            raise _WithdrawnError
        exchange.log(model, answers, time.monotonic() - exchange.started)
        return self.response

    def give_up(self) -> bool:
        """Ask somebody else; False when it has answered at this very moment."""
        return self._decided.acquire(blocking=False)

    def _goes_on(self) -> bool:
        slots = self._exchange.served.slots
        on_trial = slots.challenger.asked_in("canary")
        if on_trial and on_trial.release.same(self.challenger.release):
            return True
        return slots.champion.model is self.challenger.model  # it won meanwhile


class Asking:
    """Has requests answered: by the champion, or by the version that is tried beside it."""

    def __init__(self, limits: Limits, metrics: ServerMetrics) -> None:
        self._champions = InferenceQueue(limits.lanes, limits.waiting, metrics)
        self._canaries = InferenceQueue(1, limits.waiting // 2, metrics)
        self._shadow = Shadow(
            limits.waiting, limits.answer_seconds, lambda: self._champions.idle and self._canaries.idle
        )

    def close(self, seconds: float) -> None:
        """Wait for the pieces that have begun; for those of versions on trial at most so many seconds."""
        self._shadow.close(seconds)
        self._canaries.close(seconds)
        self._champions.close()

    async def ask(self, exchange: Exchange) -> PredictResponse:
        """The answer to one request, which is logged.

        Raises:
            ProblemError: 503, there is no model or no time; 422, the champion does not read such rows.
            ArtifactError: the champion's network fails on the texts.
        """
        unread = attempt = None
        if challenger := canary_for(exchange.served.slots, exchange.client, exchange.rows):
            attempt = _Attempt(exchange, challenger)
            response, unread = await self._by_canary(exchange, attempt)
            if response:
                return response
        response = await self._by_champion(exchange, stepped_in=attempt is not None)
        if attempt and unread:  # and the champion does read it
            await self._failed(exchange, unread, exchange.started, attempt.challenger)
        return response

    def mirror(self, exchange: Exchange) -> None:
        """Ask the shadow what the champion was asked, when there is time; to be called after the answer."""
        self._shadow.offer(exchange)

    def _idle(self) -> bool:
        return self._champions.idle and self._canaries.idle

    async def _by_canary(
        self, exchange: Exchange, attempt: _Attempt
    ) -> tuple[PredictResponse | None, ProblemError | None]:
        """The canary's answer, if it gives one in time; else why it does not read the request, if so."""
        try:
            seconds = exchange.left * _OF_THE_TIME
            response = await self._canaries.run(attempt.pieces(), seconds, exchange.size)
        except _WithdrawnError:
            return None, None
        except ProblemError as problem:
            if problem.detail.code != TIMEOUT:  # no room is no fault of its
                return None, problem if problem.status == 422 else None
            if attempt.give_up() or attempt.response is None:
                await self._failed(exchange, problem, exchange.started, attempt.challenger)
                return None, None
            response = attempt.response
        except Exception as error:  # noqa: BLE001 - whatever it is, the champion can answer
            await self._failed(exchange, error, exchange.started, attempt.challenger)
            return None, None
        attempt.challenger.tally.answered()
        seconds = time.monotonic() - exchange.started
        exchange.served.metrics.roles["canary"].answered(len(exchange.rows), seconds)
        exchange.served.count_unusual(exchange.rows)
        return response, None

    async def _by_champion(self, exchange: Exchange, *, stepped_in: bool) -> PredictResponse:
        asked = time.monotonic() if stepped_in else exchange.started
        seconds = exchange.left if stepped_in else exchange.seconds
        try:
            request = ByChampion(exchange, asked)
            joint = None if stepped_in else request  # who waited for another has less time
            response = await self._champions.run(request.pieces(), seconds, exchange.size, joint)
        except ProblemError as problem:
            # Of one that stepped in, with half of the time, the other version used up what was missing.
            if problem.detail.code == TIMEOUT and not stepped_in:
                await self._failed(exchange, problem, asked)
            raise
        except Exception as error:
            await self._failed(exchange, error, asked)
            raise
        exchange.served.metrics.roles["champion"].answered(len(exchange.rows), time.monotonic() - asked)
        exchange.served.count_unusual(exchange.rows)
        return response

    async def _failed(
        self, exchange: Exchange, error: Exception, asked: float, challenger: Challenger | None = None
    ) -> None:
        """Count and keep that a version failed on a request; without a challenger it was the champion."""
        served, why = exchange.served, in_words(error)
        model = challenger.model if challenger else served.slots.champion.model
        if model is None:
            return
        role: Role = "canary" if challenger else "champion"
        served.metrics.roles[role].failed.inc()
        if challenger:
            log.warning("%s: %s failed, the champion steps in: %s", served.name, model.release.version, why)
            if challenger.tally.failed(why):
                log.error(
                    "%s: %s is stopped: %s", served.name, model.release.version, challenger.tally.stopped
                )
        seen = Observed(
            request_id=exchange.request_id,
            at=now(),
            model_version=model.release.version,
            role=role,
            rows=exchange.rows,
            latency_ms=(time.monotonic() - asked) * 1000,
            error=why,
        )
        await asyncio.to_thread(served.observations.record, seen)
