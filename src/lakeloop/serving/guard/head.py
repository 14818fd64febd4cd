"""The heads of requests: how large they may be; HEAD is answered as GET is, without the body."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lakeloop.serving.guard.limits import Limits
from lakeloop.serving.guard.problems import ProblemError, head_too_large

_AROUND = 4
"""Bytes around a name and its value: `: ` and the end of the line."""


class HeadLimit:
    """ASGI middleware: refuses a head that came whole before `connections` could cut it off."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (problem := self._problem(scope)):
            await problem.response()(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _problem(self, scope: Scope) -> ProblemError | None:
        headers, limits = scope["headers"], self._limits
        if len(headers) > limits.head_fields:
            return head_too_large(f"at most {limits.head_fields} headers", f"{len(headers)} headers")
        size = sum(len(name) + len(value) + _AROUND for name, value in headers)
        size += len(scope.get("raw_path") or b"") + len(scope["query_string"])
        if size > limits.head_bytes:
            return head_too_large(f"at most {limits.head_bytes} bytes", f"{size} bytes")
        return None


class HeadAsGet:
    """ASGI middleware: asks the app for what GET gives, and sends the head of that alone.

    Load balancers ask so (RFC 9110, 9.3.2).
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self._app({**scope, "method": "GET"}, receive, send_head)
