"""The bodies of requests: each arrives whole, in time and within its size, or the app never sees it.

A body may be compressed with gzip; its size then counts as it is unpacked, and no more than that is.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lakeloop.serving.guard.limits import Limits
from lakeloop.serving.guard.problems import ProblemError, shortened, unavailable

_METHODS_WITH_BODY = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_DIGITS = 20
_GZIP = "gzip"
_GZIP_HEADER = 31
"""zlib: a window of any size, behind the header of gzip."""
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
            coding = _coding(scope)
            self._make_room()
            body = await self._in_time(scope, receive)
            if body is not None and coding == _GZIP:
                body = self._unpacked(body)
                scope = {**scope, "headers": _of_unpacked(scope["headers"], len(body))}
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

    def _unpacked(self, body: bytes) -> bytes:
        most, unpacked = self._limits.body_bytes, bytearray()
        try:
            while body:  # a file of gzip may have several members
                member = zlib.decompressobj(_GZIP_HEADER)
                unpacked += member.decompress(body, most + 1 - len(unpacked))
                if len(unpacked) > most:
                    raise self._too_large("more, unpacked")
                if not member.eof:
                    raise _no_gzip("its end is missing")
                body = member.unused_data
        except zlib.error as error:
            raise _no_gzip(str(error)) from None
        return bytes(unpacked)

    def _too_large(self, found: str) -> ProblemError:
        return ProblemError(
            413,
            "body_too_large",
            "the body is too large; send fewer texts in a request",
            expected=f"at most {self._limits.body_bytes} bytes",
            found=found,
        )


def _coding(scope: Scope) -> str:
    """How the body is compressed: `gzip`, or empty."""
    given = [value.decode("latin-1") for name, value in scope["headers"] if name == b"content-encoding"]
    codings = [coding for each in given for coding in each.lower().replace(" ", "").split(",")]
    match [coding for coding in codings if coding not in ("", "identity")]:
        case []:
            return ""
        case ["gzip" | "x-gzip"]:
            return _GZIP
        case _:
            raise ProblemError(
                415,
                "encoded",
                "the body is compressed in a way that is not read here",
                expected="Content-Encoding: gzip, or none",
                found=f"Content-Encoding: {shortened(', '.join(given))}",
                headers={"Accept-Encoding": _GZIP},
            )


def _no_gzip(found: str) -> ProblemError:
    return ProblemError(
        400, "not_gzip", "the body is not what its Content-Encoding says", expected="gzip", found=found
    )


def _of_unpacked(headers: Iterable[tuple[bytes, bytes]], size: int) -> list[tuple[bytes, bytes]]:
    """The headers of a body as they would be if it had not been compressed."""
    others = [
        (name, value) for name, value in headers if name not in (b"content-encoding", b"content-length")
    ]
    return [*others, (b"content-length", str(size).encode())]


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that hands out the body that was read already, then whatever comes after it."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return waiting.pop() if waiting else await receive()

    return replayed
