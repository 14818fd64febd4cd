"""Pieces of requests in threads: a long one is worked on between others, and dropped when nobody waits."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass

import pytest

from lakeloop.serving.guard.problems import ProblemError
from lakeloop.serving.lanes import InferenceQueue
from lakeloop.serving.metrics import ServerMetrics
from tests.support.serving import value


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
        long = asyncio.create_task(queue.run(pieces(8, 500, 0.15), 60, 4_000))
        waits = []
        while not long.done():
            asked = time.monotonic()
            assert await queue.run(pieces(1, 20, 0.001), 60, 20) == "1 of 20"
            waits.append(time.monotonic() - asked)
            await asyncio.sleep(0.02)
        assert await long == "8 of 500"
        taken = time.monotonic() - began
        queue.close()
        return waits, taken

    waits, taken = asyncio.run(both())

    assert len(waits) > 5
    assert sorted(waits)[len(waits) // 2] < 0.1, "less than a piece of the long one"
    assert taken < 30


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
    assert len(done) < 50


def test_long_requests_leave_room_for_short_ones(metrics: ServerMetrics) -> None:
    release = threading.Event()

    def held() -> Generator[int, None, None]:
        yield 500
        release.wait(60)

    async def crowd() -> tuple[list[object], str]:
        queue = InferenceQueue(1, 6, metrics)
        long = [asyncio.create_task(queue.run(held(), 60, 1500)) for _ in range(8)]
        await asyncio.sleep(0.1)
        short = await queue.run(pieces(1, 20, 0.0), 60, 20)
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
            await queue.run(failing(), 60, 20)
        answer = await queue.run(pieces(2, 20, 0.0), 60, 20)
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

    assert taken < 10, "and not the twenty seconds of the long one"
    assert isinstance(found, asyncio.CancelledError)


def test_a_piece_that_hangs_is_waited_for_no_longer_than_was_said(metrics: ServerMetrics) -> None:
    release = threading.Event()

    def hanging() -> Generator[int, None, None]:
        yield 20
        release.wait(60)

    async def hung() -> float:
        queue = InferenceQueue(1, 4, metrics)
        assert queue.idle
        asked = asyncio.create_task(queue.run(hanging(), 60, 20))
        await asyncio.sleep(0.1)
        assert not queue.idle
        began = time.monotonic()
        await asyncio.to_thread(queue.close, 0.2)
        taken = time.monotonic() - began
        release.set()
        await asyncio.gather(asked, return_exceptions=True)
        return taken

    assert 0.1 < asyncio.run(hung()) < 30


@dataclass
class Single:
    """A request that can be answered together with others; writes down with how many it was."""

    name: str
    sizes: list[int]
    fails: bool = False
    alone: int = 0
    length: int = 10
    key: object = None

    def pieces(self) -> Generator[int, None, str]:
        self.key = "news"
        yield self.length
        self.alone += 1
        return self.name

    def together(self, others: Sequence[Single]) -> Generator[int, None, list[str | Exception]]:
        yield self.length * len(others)
        self.sizes.append(len(others))
        if any(other.fails for other in others):
            raise RuntimeError("the network fails on one of them")
        return [other.name if other.name != "wrong" else ValueError("its own") for other in others]


def _asked(queue: InferenceQueue, singles: Sequence[Single]) -> list[str | BaseException]:
    """All at the same moment, while the lane for short work has something to do."""
    held = threading.Event()

    def holding() -> Generator[int, None, None]:
        held.wait(60)
        yield 1

    async def ask() -> list[str | BaseException]:
        first = asyncio.ensure_future(queue.run(holding(), 60, 1))
        await asyncio.sleep(0.05)
        rest = [asyncio.ensure_future(queue.run(each.pieces(), 60, 10, each)) for each in singles]
        await asyncio.sleep(0.05)
        held.set()
        await first
        return list(await asyncio.gather(*rest, return_exceptions=True))

    return asyncio.run(ask())


def test_short_requests_that_wait_together_are_answered_together(metrics: ServerMetrics) -> None:
    queue = InferenceQueue(1, 100, metrics)
    sizes: list[int] = []
    singles = [Single(name, sizes) for name in ["a", "wrong", *map(str, range(38))]]
    answers = _asked(queue, singles)
    queue.close()

    assert [answers[0], *answers[2:]] == [each.name for each in [singles[0], *singles[2:]]]
    assert isinstance(answers[1], ValueError)
    assert sizes == [32, 8]
    assert value(metrics, "lakeloop_requests_pending") == 0


def test_those_that_fail_together_are_answered_alone(metrics: ServerMetrics) -> None:
    queue = InferenceQueue(1, 100, metrics)
    sizes: list[int] = []
    singles = [Single("a", sizes), Single("b", sizes, fails=True), Single("c", sizes)]
    answers = _asked(queue, singles)
    queue.close()

    assert answers == ["a", "b", "c"]
    assert [each.alone for each in singles] == [1, 1, 1]
    assert sizes == [3]


def test_those_of_one_length_are_answered_together_the_first_that_came_and_its_like_first(
    metrics: ServerMetrics,
) -> None:
    queue = InferenceQueue(1, 100, metrics)
    sizes: list[int] = []
    order: list[str] = []

    class Noted(Single):
        def together(self, others: Sequence[Single]) -> Generator[int, None, list[str | Exception]]:
            order.append("".join(other.name for other in others))
            return (yield from super().together(others))

    lengths = {"a": 10, "b": 40, "c": 12, "d": 41, "e": 13, "f": 9, "g": 15}
    answers = _asked(queue, [Noted(name, sizes, length=length) for name, length in lengths.items()])
    queue.close()

    assert answers == list(lengths)
    assert order == ["acf", "bd", "eg"]
