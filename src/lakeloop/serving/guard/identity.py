"""The id of a request: its client's own or one that is made up; in the answer, in errors and in both logs.

And that of the client, where it says one: it is in nothing, and only keeps a client with one version.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextvars import ContextVar
from random import getrandbits

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

REQUEST_ID = "x-request-id"
CLIENT_ID = "x-client-id"
PATTERN = r"^[\x21-\x7e]{1,128}$"
"""Printable ASCII without spaces."""
_current: ContextVar[str] = ContextVar("request_id", default="")


def current_id() -> str:
    """The id of the request that is answered now; empty outside of one."""
    return _current.get()


def use_id(identity: str | None) -> str:
    """The id of the request that is answered now, which is `identity` from here on, if that is given."""
    if identity:
        _current.set(identity)
    return _current.get()


def client_of(headers: Mapping[str, str]) -> str:
    """The id that a client gives itself, without blanks around it; empty where it gives none.

    Raises:
        ValueError: it is no id.
    """
    given = headers.get(CLIENT_ID, "").strip(" \t")  # optional white space, RFC 9110
    if given and not re.fullmatch(PATTERN, given):
        raise ValueError(given)
    return given


def _made_up() -> str:
    """An id that no other request has: no secret, so it needs no call of the system, as a UUID does."""
    return f"{getrandbits(128):032x}"


class RequestIds:
    """ASGI middleware: takes the header X-Request-ID, or makes an id up, and sends it with the answer.

    A header that is no id is left aside: the request is answered all the same.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = next((value for name, value in scope["headers"] if name == REQUEST_ID.encode()), b"")
        asked = given.decode("latin-1")
        use_id(asked if re.fullmatch(PATTERN, asked) else _made_up())

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[REQUEST_ID] = current_id()
            await send(message)

        await self._app(scope, receive, send_with_id)
