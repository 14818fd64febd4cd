"""Where the server has keys, nobody is answered without one; only whether it lives and is ready is for all.

A program shows its key as a bearer token (RFC 6750). A browser asks its user for it (Basic, RFC 7617: any
name, and the key as the password), so that the pages and what they ask need nothing more. The key goes no
further than here: what follows, and what is logged, counts its name.
"""

from __future__ import annotations

import base64
import binascii

from starlette.types import ASGIApp, Receive, Scope, Send

from lakeloop.serving.guard.problems import ProblemError
from lakeloop.serving.keys import NO_KEY, Keys
from lakeloop.serving.metrics import ServerMetrics

OPEN = frozenset({"/healthz", "/readyz"})
"""What is answered to everybody: load balancers have no key."""
CHALLENGES = ('Bearer realm="lakeloop"', 'Basic realm="lakeloop", charset="UTF-8"')
"""A header for each: RFC 9110 allows one list of both, but browsers read the first scheme of a header only,
and then never ask for the key."""


class KeyGuard:
    """ASGI middleware: answers 401 to a request without a key, and counts the others by the key's name."""

    def __init__(self, app: ASGIApp, keys: Keys, metrics: ServerMetrics) -> None:
        self._app = app
        self._keys = keys
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in OPEN:
            await self._app(scope, receive, send)
            return
        shown = [value for name, value in scope["headers"] if name == b"authorization"]
        name = self._keys.name_of(_key_in(shown[0])) if len(shown) == 1 else None
        if name is None:
            await _refusal(shown=bool(shown)).response()(scope, receive, send)
            return
        self._metrics.count_key(name)
        rest = [header for header in scope["headers"] if header[0] != b"authorization"]
        await self._app({**scope, "headers": rest}, receive, send)


def _key_in(header: bytes) -> str:
    """The key in a header `Authorization`; empty where there is none to be seen."""
    scheme, _, value = header.decode("latin-1").partition(" ")
    value = value.strip()
    if scheme.lower() == "bearer":
        return value
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode("utf-8").partition(":")[2]
        except (binascii.Error, UnicodeDecodeError, ValueError):
            return ""
    return ""


def _refusal(*, shown: bool) -> ProblemError:
    return ProblemError(
        401,
        NO_KEY,
        "the key is not one of this server's"
        if shown
        else "this server answers only to those who have a key",
        expected="Authorization: Bearer KEY",
        repeated=tuple(("WWW-Authenticate", challenge) for challenge in CHALLENGES),
    )
