"""A request is counted under what came of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from lakeloop.serving.exchange import ServedLoop
from lakeloop.serving.metrics import ServerMetrics, Timing
from lakeloop.serving.slots import Slots
from lakeloop.spec.clean import TextLength
from lakeloop.tasks.reading import Instance
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


def test_texts_that_rows_could_not_have_are_answered_and_counted(metrics: ServerMetrics) -> None:
    bounds = TextLength(min=2, max=3, unit="words")
    logs: Any = None
    served = ServedLoop("news", "classification", Slots("news"), logs, logs, metrics.of_loop("news"), bounds)
    served.count_unusual([Instance("one"), Instance("one two"), Instance("one two three four")])
    assert value(metrics, "lakeloop_texts_outside_length_total", loop="news") == 2
    replace(served, length=TextLength()).count_unusual([Instance("")])
    assert value(metrics, "lakeloop_texts_outside_length_total", loop="news") == 2
