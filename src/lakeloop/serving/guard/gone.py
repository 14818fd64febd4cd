"""A client that goes away is worked for no longer: else those who gave up would hold up the others."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.types import Receive

from lakeloop.serving.guard.problems import CLIENT_GONE, ProblemError

T = TypeVar("T")


async def unless_gone(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which is cancelled when the client of `receive`, whose body is read, goes away.

    Raises:
        ProblemError: 499, it went away; nobody gets this answer.
    """
    working, going = asyncio.current_task(), asyncio.ensure_future(_gone(receive))
    assert working is not None
    going.add_done_callback(cancel := lambda _: working.cancel())
    try:
        return await work
    except asyncio.CancelledError:
        if not going.done() or working.uncancel():  # somebody else cancelled it, too
            raise
        raise ProblemError(CLIENT_GONE, "client_gone", "the client went away before its answer") from None
    finally:
        going.remove_done_callback(cancel)
        going.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
