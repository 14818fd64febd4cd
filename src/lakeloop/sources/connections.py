"""Connections by name, from the environment: what Airflow itself reads, AIRFLOW_CONN_<NAME>, or our own.

A Connection that Airflow keeps elsewhere is put there by the task, for its own process. Commands have the
variables that they are started with.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

PREFIXES = ("LAKELOOP_CONN_", "AIRFLOW_CONN_")
"""Of the variables, the first that is set counts."""


def variables_of(name: str) -> list[str]:
    """The variables in which the connection `name` may be."""
    return [f"{prefix}{name.upper()}" for prefix in PREFIXES]


def text_of(name: str) -> str:
    """What is said of the connection `name`, as an address or JSON; empty when there is none."""
    return next((text for variable in variables_of(name) if (text := os.environ.get(variable, ""))), "")


@dataclass(frozen=True)
class Connection:
    """What is known of one connection."""

    kind: str
    """As Airflow calls it: `http`, `aws`."""
    host: str
    """In lower case, without a scheme."""
    login: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    extra: Mapping[str, str] = field(default_factory=dict, repr=False)


def connection_of(text: str) -> Connection | None:
    """The connection that `text` says, a URI or JSON as Airflow has it; None where it is empty.

    Raises:
        ValueError: it cannot be read. The error's words hold a part of the text: do not show them.
        AttributeError: likewise.
    """
    return _of_json(text) if text.lstrip().startswith("{") else _of_uri(text)


def _of_json(text: str) -> Connection:
    parts = json.loads(text)
    extra = parts.get("extra") or {}
    extra = json.loads(extra) if isinstance(extra, str) else extra
    return Connection(
        str(parts.get("conn_type") or ""),
        _bare(str(parts.get("host") or "")),
        str(parts.get("login") or ""),
        str(parts.get("password") or ""),
        _texts(extra),
    )


def _of_uri(text: str) -> Connection | None:
    if not text:
        return None
    parts = urlsplit(text)
    extra: Any = dict(parse_qsl(parts.query, keep_blank_values=True))
    if "__extra__" in extra:
        extra = json.loads(extra["__extra__"])
    return Connection(
        parts.scheme,
        _bare(unquote(parts.hostname or "")),
        unquote(parts.username or ""),
        unquote(parts.password or ""),
        _texts(extra),
    )


def _bare(host: str) -> str:
    """The name alone: Airflow lets `https://` and a path stand in the host of a connection."""
    return (urlsplit(host if "://" in host else f"//{host}").hostname or "").lower()


def _texts(extra: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in extra.items() if isinstance(value, str | int)}
