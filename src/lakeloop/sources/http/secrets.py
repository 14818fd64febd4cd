"""Secrets of requests, from the environment: never from a loop file, never in a message, a record or a repr.

A connection is the variable LAKELOOP_CONN_<NAME>, or what Airflow itself reads, AIRFLOW_CONN_<NAME>; a
Connection that Airflow keeps elsewhere is put there by the task, for its own process.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

from lakeloop.errors import ConfigurationError
from lakeloop.sources.sql.address import PREFIXES
from lakeloop.tracking.scrub import HIDDEN

_OF_SECRETS = "LAKELOOP_SECRET_"


@dataclass(frozen=True)
class Connection:
    """What is known of one connection."""

    host: str
    """In lower case."""
    login: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    extra: Mapping[str, str] = field(default_factory=dict, repr=False)


def connection_named(name: str, host: str) -> Connection:
    """The connection `name`, for requests to `host`.

    Raises:
        ConfigurationError: there is none, it cannot be read, or it is for another host.
    """
    variables = [prefix + name.upper() for prefix in PREFIXES]
    text = next((text for variable in variables if (text := os.environ.get(variable, ""))), "")
    try:
        found = _of_json(text) if text.lstrip().startswith("{") else _of_uri(text)
    except (ValueError, AttributeError):
        # Not the error's words: they hold a part of the text.
        found = None
    if not found or found.host != host:
        raise ConfigurationError(
            "no connection for this source",
            where="source.connection",
            expected=f"an Airflow Connection {name}, or the variable {variables[0]}, with the host {host}",
            found=("one that cannot be read" if text else "none") if not found else f"the host {found.host}",
            remedy=f"airflow connections add {name} --conn-type http --conn-host {host} --conn-password ...",
        )
    return found


def secret_named(name: str) -> str:
    """The value of LAKELOOP_SECRET_<name>.

    Raises:
        ConfigurationError: it is not set.
    """
    if value := os.environ.get(_OF_SECRETS + name, ""):
        return value
    raise ConfigurationError(
        "a secret is not there", where=f"{{secret.{name}}}", expected=f"the variable {_OF_SECRETS}{name}"
    )


def hide(text: str, secrets: Iterable[str]) -> str:
    """`text` without `secrets`, however an address or JSON writes them."""
    forms = {
        form
        for secret in secrets
        if secret
        for form in (
            secret,
            quote(secret),
            quote(secret, safe=""),
            quote_plus(secret),
            json.dumps(secret)[1:-1],
        )
    }
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, HIDDEN)
    return text


def _of_json(text: str) -> Connection:
    parts = json.loads(text)
    extra = parts.get("extra") or {}
    extra = json.loads(extra) if isinstance(extra, str) else extra
    host = str(parts.get("host") or "")
    return Connection(
        _bare(host), str(parts.get("login") or ""), str(parts.get("password") or ""), _texts(extra)
    )


def _of_uri(text: str) -> Connection | None:
    if not text:
        return None
    parts = urlsplit(text)
    extra: Any = dict(parse_qsl(parts.query, keep_blank_values=True))
    if "__extra__" in extra:
        extra = json.loads(extra["__extra__"])
    host = unquote(parts.hostname or "")
    return Connection(
        _bare(host), unquote(parts.username or ""), unquote(parts.password or ""), _texts(extra)
    )


def _bare(host: str) -> str:
    """The name alone: Airflow lets `https://` and a path stand in the host of a connection."""
    return (urlsplit(host if "://" in host else f"//{host}").hostname or "").lower()


def _texts(extra: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in extra.items() if isinstance(value, str | int)}
