"""What the model server accepts and how long it is willing to work on it, and the guard in front of it.

The numbers are settings (`LAKELOOP_SERVE_*`). `BodyLimit` applies those that must hold before a body is
parsed; limits on what the body says (texts, characters) are applied in `app`.
"""

from __future__ import annotations

import asyncio

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lakeloop.serving.guard.problems import ProblemError, unavailable

_METHODS_WITH_BODY = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_DIGITS = 20


class Limits(BaseSettings):
    """Limits of one server process; each can be set by the variable LAKELOOP_SERVE_<FIELD>."""

    model_config = SettingsConfigDict(env_prefix="LAKELOOP_SERVE_", frozen=True, extra="ignore")

    texts: int = Field(default=128, ge=1)
    """Texts in one request."""
    characters: int = Field(default=50_000, ge=1)
    """Characters of one text; a model itself cuts at its own number of tokens."""
    body_bytes: int = Field(default=2 << 20, ge=1)
    """Bytes of one request's body."""
    open_bodies: int = Field(default=256, ge=1)
    """Requests with a body that may be open at once; this times `body_bytes` bounds their memory."""
    body_seconds: float = Field(default=10.0, gt=0)
    """A body that takes longer to arrive is given up."""
    answer_seconds: float = Field(default=30.0, gt=0)
    """A request that was not answered by then is refused with 503."""
    lanes: int = Field(default=1, ge=1)
    """Requests that are worked on at the same time, of all loops together."""
    waiting: int = Field(default=64, ge=0)
    """Requests that may wait for a lane; one more is refused with 503."""
    threads: int = Field(default=1, ge=1)
    """CPU threads of one call of a model."""
    poll_seconds: float = Field(default=2.0, gt=0)
    """How often the registries are asked for new champions."""
    flush_seconds: float = Field(default=10.0, gt=0)
    """Predictions reach the lake at least this often, and earlier when a batch is full."""
    batch_rows: int = Field(default=1_000, ge=1)
    """Predictions in one batch of the log."""
    backlog_bytes: int = Field(default=512 << 20, ge=1)
    """Predictions of one loop kept on disk while the lake is away; new ones beyond that are not logged."""
    drain_seconds: float = Field(default=10.0, gt=0)
    """Time for open requests, and then again for the prediction log, when the server is told to stop."""


class BodyLimit:
    """ASGI middleware: a body arrives whole, in time and within its size, or the app never sees it."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app = app
        self._limits = limits
        self._open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in _METHODS_WITH_BODY:
            await self._app(scope, receive, send)
            return
        self._open += 1
        try:
            await self._guarded(scope, receive, send)
        finally:
            self._open -= 1

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._open > self._limits.open_bodies:
            busy = unavailable("overloaded", f"{self._limits.open_bodies} requests are open; try again soon")
            await busy.response()(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                body = await self._read(scope, receive)
        except TimeoutError:
            late = ProblemError(
                408, "body_timeout", f"the body took longer than {self._limits.body_seconds:g} s"
            )
            await late.response()(scope, receive, send)
        except ProblemError as problem:
            await problem.response()(scope, receive, send)
        else:
            if body is not None:
                await self._app(scope, _replay(body, receive), send)

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
