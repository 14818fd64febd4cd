"""The names under which a server of this installation answers, and the guard that refuses all others.

A browser keeps sites apart by their names. A hostile site can let its name point to 127.0.0.1 once its page
is loaded ("DNS rebinding"); the page then reads what a server on this machine tells everybody who reaches it,
but the name it asks under is still its own. Pure ASGI, for the model server and for Airflow's API server.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from lakeloop.settings import Settings

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_ANY = "*"
_MISDIRECTED = 421
_SHOWN_CHARACTERS = 60
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+?))\.?(?::[0-9]{1,5})?", re.IGNORECASE)

_Message = MutableMapping[str, Any]
_Send = Callable[[_Message], Awaitable[None]]
_Receive = Callable[[], Awaitable[_Message]]
_App = Callable[[_Message, _Receive, _Send], Awaitable[None]]


@dataclass(frozen=True)
class Hosts:
    """What the header `Host` of a request may say; the port in it does not matter."""

    names: frozenset[str]
    """In lower case; IPv6 addresses without brackets."""
    any_address: bool = False
    """Any IP address will do: a page that was loaded from an address cannot be pointed elsewhere."""

    def admit(self, header: str) -> bool:
        """Whether a request with this `Host` is meant for this server."""
        if _ANY in self.names:
            return True
        name = _name(header)
        return name in self.names or (self.any_address and _is_address(name))


def allowed_hosts(settings: Settings, listening: str, *urls: str) -> Hosts:
    """The hosts of a server that listens on `listening`: loopback, LAKELOOP_ALLOWED_HOSTS, and its addresses.

    Its addresses are those of the settings, which other parts of the installation and links use, and `urls`.
    """
    own = (settings.server_url, settings.server_link, settings.airflow_url, *urls)
    named = {host if host == _ANY else _name(host) for host in settings.allowed_hosts}
    names = {_name(urlsplit(url).netloc) for url in own} | named | {listening.lower()} | _LOOPBACK
    return Hosts(frozenset(names - {""}), any_address=listening not in _LOOPBACK)


class HostGuard:
    """ASGI middleware: a request under a name that is not this server's is answered with 421."""

    def __init__(self, app: _App, hosts: Hosts) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        given = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        if given and all(self._hosts.admit(header) for header in given):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})  # before it is accepted: HTTP 403
        else:
            await self._refuse(given, send)

    async def _refuse(self, given: list[str], send: _Send) -> None:
        problem = {
            "code": "unknown_host",
            "message": "this server does not answer to that name; if it should, set LAKELOOP_ALLOWED_HOSTS",
            "expected": "Host: " + ", ".join(sorted(self._hosts.names)),
            "found": f"Host: {', '.join(given)[:_SHOWN_CHARACTERS]}" if given else "no Host",
        }
        told = {  # RFC 9457
            "type": f"urn:lakeloop:problem:{problem['code']}",
            "title": "Misdirected Request",
            "status": _MISDIRECTED,
            "detail": problem["message"],
            "error": problem,
        }
        body = json.dumps(told).encode()
        headers = [
            (b"content-type", b"application/problem+json"),
            (b"content-length", str(len(body)).encode()),
        ]
        await send({"type": "http.response.start", "status": _MISDIRECTED, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _name(host: str) -> str:
    """The name or address in `host` (`name`, `name:port`, `[::1]:port`), in lower case; empty in others."""
    found = _HOST.fullmatch(host)
    return (found[1] or found[2]).lower() if found else ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
