"""Where a database is: a file, or what the environment says under the name of a connection.

Addresses hold passwords: they go to drivers only, and what drivers say goes through `Address.hide`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from lakeloop.errors import ConfigurationError
from lakeloop.settings import Settings
from lakeloop.sources.connections import variables_of
from lakeloop.spec.paths import SQLITE_PATH, confine
from lakeloop.spec.quoting import plain
from lakeloop.spec.sql import SqlSource

_EXTRA = "__extra__"
_USUAL = {"connect_timeout": "10", "application_name": "lakeloop"}


@dataclass(frozen=True)
class Address:
    """A database that a loop reads."""

    kind: Literal["postgresql", "sqlite"]
    shown: str
    """For messages: the connection by its name, or the path of the file."""
    target: str = field(repr=False)
    """What the driver is given: a URI of libpq, or the path of a file."""
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def hide(self, text: str) -> str:
        """What a driver said, on one line, without passwords."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return plain(" ".join(text.split()), 300)


def address_of(source: SqlSource, settings: Settings) -> Address:
    """The database of a loop; nothing is opened.

    Raises:
        ConfigurationError: the path leads out of the allowed folders; or there is no connection of this name,
            or it is none to a database that is known here.
    """
    if source.connection is None:
        path = str(confine(str(source.sqlite), settings, SQLITE_PATH))
        return Address("sqlite", path, path)
    return read_address(source.connection)[0]


def read_address(name: str) -> tuple[Address, str]:
    """The database of the connection `name`, and the variable that says it.

    Raises:
        ConfigurationError: there is no such connection, or it is none to a database that is known here.
    """
    variables = variables_of(name)
    for variable in variables:
        if value := os.environ.get(variable, "").strip():
            return _read(value, name, variable), variable
    raise ConfigurationError(
        f"there is no connection {name}",
        where="source.connection",
        expected=f"an address in the environment variable {' or '.join(variables)}",
        found="neither is set",
        remedy=f"export {variables[0]}='postgresql://USER:PASSWORD@HOST:5432/DATABASE',"
        " also where Airflow runs",
    )


def _read(value: str, name: str, variable: str) -> Address:
    try:
        url, params = _of_json(value) if value.startswith("{") else _of_url(value)
    except (ValueError, TypeError, AttributeError):
        raise _unknown(variable, "something else (not shown)") from None
    scheme = url.scheme.partition("+")[0]
    if scheme == "sqlite":
        return Address("sqlite", f"connection {name}", "/" + unquote(url.path).lstrip("/"))
    if scheme not in ("postgres", "postgresql"):
        raise _unknown(variable, f"an address of {plain(scheme, 30) or 'nothing'}")
    query = urlencode({**_USUAL, **params})
    secret = unquote(url.password or "") or params.get("password", "")
    secrets = tuple({each for each in (url.password, secret, quote(secret, safe="")) if each})
    return Address(
        "postgresql", f"connection {name}", f"postgresql://{url.netloc}{url.path}?{query}", secrets
    )


def _of_url(value: str) -> tuple[SplitResult, dict[str, str]]:
    url = urlsplit(value)
    _ = url.port  # raises ValueError where it is none
    params = dict(parse_qsl(url.query, strict_parsing=bool(url.query)))
    return url, {**dict(_words(params.pop(_EXTRA, None))), **params}


def _of_json(value: str) -> tuple[SplitResult, dict[str, str]]:
    """A connection in the JSON form of Airflow."""
    said: dict[str, Any] = json.loads(value)
    user, password = (quote(str(said.get(key) or ""), safe="") for key in ("login", "password"))
    login = f"{user}:{password}@" if password else f"{user}@" if user else ""
    port = f":{int(said['port'])}" if said.get("port") else ""
    host, scheme = str(said.get("host") or ""), str(said.get("conn_type") or "")
    if scheme == "sqlite":
        return SplitResult(scheme, "", quote(host), "", ""), {}
    url = SplitResult(scheme, f"{login}{host}{port}", "/" + quote(str(said.get("schema") or "")), "", "")
    return url, dict(_words(said.get("extra")))


def _words(extra: Any) -> Iterator[tuple[str, str]]:
    """The single values of a connection's `extra`, an object or its JSON: parameters of the driver."""
    found = json.loads(extra) if isinstance(extra, str) and extra else extra or {}
    if isinstance(found, Mapping):
        for key, value in found.items():
            if isinstance(value, str | int) and not isinstance(value, bool):
                yield str(key), str(value)


def _unknown(variable: str, found: str) -> ConfigurationError:
    return ConfigurationError(
        "not the address of a database",
        where=variable,
        expected="postgresql://USER:PASSWORD@HOST:PORT/DATABASE, sqlite:///PATH, or Airflow's JSON of one",
        found=found,
        remedy=f"correct {variable}; characters such as @ and / in a password are written %40 and %2F",
    )
