"""Pieces of requests in threads: a long one is worked on between others, and dropped when nobody waits."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Generator

import pytest

from lakeloop.serving.guard.problems import ProblemError
from lakeloop.serving.lanes import InferenceQueue
from lakeloop.serving.metrics import ServerMetrics


def pieces(count: int, cost: int, seconds: float, done: list[int] | None = None) -> Generator[int, None, str]:
    for number in range(count):
        yield cost
        time.sleep(seconds)
        if done is not None:
            done.append(number)
    return f"{count} of {cost}"


def test_short_requests_are_answered_while_a_long_one_is_worked_on(metrics: ServerMetrics) -> None:
    async def both() -> tuple[list[float], float]:
        queue = InferenceQueue(1, 8, metrics)
        began = time.monotonic()
        long = asyncio.create_task(queue.run(pieces(20, 500, 0.05), 10, 10_000))
        waits = []
        while not long.done():
            asked = time.monotonic()
            assert await queue.run(pieces(1, 20, 0.001), 10, 20) == "1 of 20"
            waits.append(time.monotonic() - asked)
            await asyncio.sleep(0.02)
        assert await long == "20 of 500"
        taken = time.monotonic() - began
        queue.close()
        return waits, taken

    waits, taken = asyncio.run(both())

    assert len(waits) > 10
    assert sorted(waits)[len(waits) // 2] < 0.03
    assert taken < 3


def test_a_request_that_nobody_waits_for_is_not_worked_on_further(metrics: ServerMetrics) -> None:
    done: list[int] = []

    async def late() -> ProblemError:
        queue = InferenceQueue(1, 8, metrics)
        with pytest.raises(ProblemError) as refused:
            await queue.run(pieces(100, 500, 0.02, done), 0.1, 50_000)
        await queue.run(pieces(3, 500, 0.02), 5, 1500)
        queue.close()
        return refused.value

    assert asyncio.run(late()).detail.code == "timeout"
    assert len(done) < 10


def test_long_requests_leave_room_for_short_ones(metrics: ServerMetrics) -> None:
    release = threading.Event()

    def held() -> Generator[int, None, None]:
        yield 500
        release.wait(5)

    async def crowd() -> tuple[list[object], str]:
        queue = InferenceQueue(1, 6, metrics)
        long = [asyncio.create_task(queue.run(held(), 5, 1500)) for _ in range(8)]
        await asyncio.sleep(0.1)
        short = await queue.run(pieces(1, 20, 0.0), 5, 20)
        release.set()
        found = await asyncio.gather(*long, return_exceptions=True)
        queue.close()
        return found, short

    found, short = asyncio.run(crowd())

    refused = [each for each in found if isinstance(each, ProblemError)]
    assert short == "1 of 20"
    assert len(refused) == 8 - (1 + 6 // 2)
    assert {each.detail.code for each in refused} == {"overloaded"}


def test_what_fails_fails_for_who_asked_and_the_lanes_go_on(metrics: ServerMetrics) -> None:
    def failing() -> Generator[int, None, None]:
        yield 20
        raise RuntimeError("of the model")

    async def both() -> str:
        queue = InferenceQueue(1, 4, metrics)
        with pytest.raises(RuntimeError, match="of the model"):
            await queue.run(failing(), 5, 20)
        answer = await queue.run(pieces(2, 20, 0.0), 5, 20)
        queue.close()
        return answer

    assert asyncio.run(both()) == "2 of 20"
    assert metrics.registry.get_sample_value("lakeloop_requests_pending") == 0


def test_a_closed_queue_ends_soon_and_gives_up_what_it_has(metrics: ServerMetrics) -> None:
    async def closed() -> tuple[float, object]:
        queue = InferenceQueue(1, 4, metrics)
        long = asyncio.create_task(queue.run(pieces(1000, 500, 0.02), 60, 500_000))
        await asyncio.sleep(0.1)
        began = time.monotonic()
        await asyncio.to_thread(queue.close)
        (found,) = await asyncio.gather(long, return_exceptions=True)
        return time.monotonic() - began, found

    taken, found = asyncio.run(closed())

    assert taken < 1
    assert isinstance(found, asyncio.CancelledError)


def test_a_piece_that_hangs_is_waited_for_no_longer_than_was_said(metrics: ServerMetrics) -> None:
    release = threading.Event()

    def hanging() -> Generator[int, None, None]:
        yield 20
        release.wait(10)

    async def hung() -> float:
        queue = InferenceQueue(1, 4, metrics)
        assert queue.idle
        asked = asyncio.create_task(queue.run(hanging(), 10, 20))
        await asyncio.sleep(0.1)
        assert not queue.idle
        began = time.monotonic()
        await asyncio.to_thread(queue.close, 0.2)
        taken = time.monotonic() - began
        release.set()
        await asyncio.gather(asked, return_exceptions=True)
        return taken

    assert 0.1 < asyncio.run(hung()) < 2
