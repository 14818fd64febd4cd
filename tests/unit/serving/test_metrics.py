"""A request is counted under what came of it."""

from __future__ import annotations

import asyncio

import pytest
from starlette.types import Message, Receive, Scope, Send

from lakeloop.serving.metrics import ServerMetrics, Timing
from tests.support.serving import value

SCOPE = {"type": "http", "method": "POST", "path": "/v1/predict"}


async def gone(_: Scope, __: Receive, ___: Send) -> None:
    """An app whose client goes away while it sends its body."""


async def broken(_: Scope, __: Receive, ___: Send) -> None:
    raise RuntimeError


async def answering(_: Scope, __: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})


@pytest.mark.parametrize(("app", "code"), [(gone, "499"), (broken, "500"), (answering, "204")])
def test_a_request_is_counted_once_under_its_code(metrics: ServerMetrics, app: object, code: str) -> None:
    async def nothing(_: Message) -> None:
        pass

    async def no_body() -> Message:
        return {"type": "http.disconnect"}

    timing = Timing(app, metrics, frozenset({"/v1/predict"}).__contains__)  # type: ignore[arg-type]
    try:
        asyncio.run(timing(SCOPE, no_body, nothing))
    except RuntimeError:
        assert app is broken

    labels = {"method": "POST", "path": "/v1/predict"}
    counted = {
        known: value(metrics, "lakeloop_requests_total", code=known, **labels) for known in (code, "500")
    }
    assert counted[code] == 1
    assert sum(counted.values()) == 1
