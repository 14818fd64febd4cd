"""A bounded number of requests in the models and before them; further requests are told to come back.

The models of all loops run in the same few threads: the cores are shared too, and health checks are answered
while these threads work. The work comes from `app`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from lakeloop.serving.guard.problems import unavailable
from lakeloop.serving.metrics import ServerMetrics

T = TypeVar("T")


class InferenceQueue:
    """Runs work in `lanes` threads and lets at most `waiting` more wait for one."""

    def __init__(self, lanes: int, waiting: int, metrics: ServerMetrics) -> None:
        self._pool = ThreadPoolExecutor(lanes, thread_name_prefix="inference")
        self._room = lanes + waiting
        self._pending = 0
        self._lock = threading.Lock()
        self._gauge = metrics.pending

    async def run(self, work: Callable[[], T], seconds: float) -> T:
        """The result of `work`, run in a thread.

        Work that has not begun after `seconds` never begins; work that has is finished and thrown away.

        Raises:
            ProblemError: 503, because no more may wait or because `seconds` have passed.
        """
        with self._lock:
            if self._pending >= self._room:
                raise unavailable("overloaded", f"{self._room} requests are waiting already; try again soon")
            self._pending += 1
            self._gauge.set(self._pending)
        future = self._pool.submit(work)
        future.add_done_callback(self._leave)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), seconds)
        except TimeoutError:
            raise unavailable("timeout", f"not answered within {seconds:g} s; try again soon") from None

    def close(self) -> None:
        """Wait for the work that has begun; work that still waits never begins."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _leave(self, _: Future[Any]) -> None:
        with self._lock:
            self._pending -= 1
            self._gauge.set(self._pending)
