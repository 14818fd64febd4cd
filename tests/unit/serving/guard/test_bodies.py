"""A body is whole, in time and within its size before the app sees it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from lakeloop.serving.guard.bodies import BodyLimit
from lakeloop.serving.guard.limits import Limits

LIMITS = Limits(body_bytes=10, body_seconds=0.05, open_bodies=2)


class Echo:
    """An app that answers with the body it got."""

    def __init__(self) -> None:
        self.calls = 0

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        self.calls += 1
        body = (await receive())["body"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})


async def ask(
    guard: BodyLimit, parts: Iterable[bytes | None], headers: Iterable[tuple[bytes, bytes]] = ()
) -> tuple[int, bytes]:
    """Status and body of the answer to a POST in `parts`; None stands for a client that sends no more."""
    waiting = list(parts)
    sent: list[Message] = []

    async def receive() -> Message:
        part = waiting.pop(0)
        if part is None:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": part, "more_body": bool(waiting)}

    async def send(message: Message) -> None:
        sent.append(message)

    await guard({"type": "http", "method": "POST", "headers": list(headers)}, receive, send)
    return sent[0]["status"], sent[1]["body"]


def code(body: bytes) -> Any:
    return json.loads(body)["error"]["code"]


def test_a_body_in_parts_reaches_the_app_whole() -> None:
    assert asyncio.run(ask(BodyLimit(Echo(), LIMITS), [b"01234", b"", b"56789"])) == (200, b"0123456789")


@pytest.mark.parametrize(
    ("parts", "headers"),
    [
        ([b"01234", b"567890"], []),
        ([None], [(b"content-length", b"11")]),
        ([None], [(b"content-length", b"0" * 5 + b"9" * 5000)]),
        ([b"0" * 11], [(b"content-length", b"nonsense")]),
    ],
    ids=["more than it may be", "declared too large, not even read", "declared endless", "undeclared"],
)
def test_a_body_over_the_limit_never_reaches_the_app(parts: list[bytes | None], headers: Any) -> None:
    app = Echo()

    status, body = asyncio.run(ask(BodyLimit(app, LIMITS), parts, headers))

    assert (status, code(body), app.calls) == (413, "body_too_large", 0)


def test_a_body_that_never_ends_is_given_up() -> None:
    app = Echo()

    status, body = asyncio.run(ask(BodyLimit(app, LIMITS), [b"0", None]))

    assert (status, code(body), app.calls) == (408, "body_timeout", 0)


def test_no_more_bodies_are_taken_in_than_memory_is_meant_for() -> None:
    async def three() -> list[tuple[int, bytes]]:
        guard = BodyLimit(Echo(), LIMITS)
        slow = [asyncio.create_task(ask(guard, [b"0", None])) for _ in range(2)]
        await asyncio.sleep(0)
        third = await ask(guard, [b"0"])
        answers = [third, *await asyncio.gather(*slow)]
        return [*answers, await ask(guard, [b"0"])]

    refused, *late, after = asyncio.run(three())

    assert (refused[0], code(refused[1])) == (503, "overloaded")
    assert [status for status, _ in late] == [408, 408]
    assert after == (200, b"0")
