"""The bodies of requests: each arrives whole, in time and within its size, or the app never sees it."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lakeloop.serving.guard.limits import Limits
from lakeloop.serving.guard.problems import ProblemError, unavailable

_METHODS_WITH_BODY = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_DIGITS = 20
_GRACE_SECONDS = 1.0
"""A body may take so long to arrive even when the places of others are wanted."""


class BodyLimit:
    """ASGI middleware: reads the body before the app is asked.

    While all places are taken, a body that arrives for more than a second makes room for a new one: many slow
    clients do not keep the others out.
    """

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app = app
        self._limits = limits
        self._arriving: dict[asyncio.Timeout, float] = {}
        """Time that each body has, and since when it arrives; the first is the oldest."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in _METHODS_WITH_BODY:
            await self._app(scope, receive, send)
            return
        try:
            self._make_room()
            body = await self._in_time(scope, receive)
        except ProblemError as problem:
            await problem.response()(scope, receive, send)
        else:
            if body is not None:
                await self._app(scope, _replay(body, receive), send)

    def _make_room(self) -> None:
        if len(self._arriving) < self._limits.open_bodies:
            return
        oldest, since = next(iter(self._arriving.items()))
        now = asyncio.get_running_loop().time()
        if now - since < _GRACE_SECONDS:
            busy = f"{self._limits.open_bodies} bodies are arriving"
            raise unavailable("overloaded", f"{busy}; try again soon")
        del self._arriving[oldest]
        oldest.reschedule(now)

    async def _in_time(self, scope: Scope, receive: Receive) -> bytes | None:
        limit = asyncio.timeout(self._limits.body_seconds)
        try:
            async with limit:
                self._arriving[limit] = asyncio.get_running_loop().time()
                return await self._read(scope, receive)
        except TimeoutError:
            seconds = f"{self._limits.body_seconds:g} s"
            raise ProblemError(
                408,
                "body_timeout",
                f"the body did not arrive within {seconds}, or sooner, where others waited for its place",
            ) from None
        finally:
            self._arriving.pop(limit, None)

    async def _read(self, scope: Scope, receive: Receive) -> bytes | None:
        """The whole body, or None when the client went away."""
        declared = dict(scope["headers"]).get(b"content-length", b"")
        if declared.isdigit():
            # int() refuses thousands of digits, which are as good as any number that is too large.
            size = int(declared.lstrip(b"0")[:_DIGITS] or b"0")
            if size > self._limits.body_bytes:
                raise self._too_large(f"{size} bytes" if len(declared) <= _DIGITS else "more")
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            if len(body) > self._limits.body_bytes:
                raise self._too_large("more")
            if not message.get("more_body", False):
                return bytes(body)

    def _too_large(self, found: str) -> ProblemError:
        return ProblemError(
            413,
            "body_too_large",
            "the body is too large; send fewer texts in a request",
            expected=f"at most {self._limits.body_bytes} bytes",
            found=found,
        )


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that hands out the body that was read already, then whatever comes after it."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return waiting.pop() if waiting else await receive()

    return replayed
