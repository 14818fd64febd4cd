"""Tables of PostgreSQL and SQLite that a person points at: `postgresql://…`, `sqlite:///…`, a SQLite file.

An address that holds a password goes to the environment of this process and nowhere else; the loop file has
the name of a connection.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

from lakeloop.errors import ConfigurationError, DataError
from lakeloop.proposal.given import Given, Pointer
from lakeloop.proposal.places import from_here, shown
from lakeloop.proposal.sample import MOST_BYTES, MOST_RECORDS, Sample
from lakeloop.sources.connections import PREFIXES
from lakeloop.sources.sql import postgres, sqlite
from lakeloop.sources.sql.address import Address, read_address
from lakeloop.spec.columns import ColumnType
from lakeloop.spec.paths import SQLITE_PATH, confine
from lakeloop.spec.quoting import plain

_POSTGRES = ("postgres", "postgresql")
_MAGIC = b"SQLite format 3\0"
_SHOWN_TABLES = 20


def look(pointer: Pointer) -> Given | None:
    """A table; None where something else than a database is meant.

    Raises:
        ConfigurationError: no such database or connection, or it does not say which table.
        DataError: the table is empty, or SQLite's file is damaged.
        ServiceError: the server is away, or the file is locked.
    """
    scheme = urlsplit(pointer.text).scheme.partition("+")[0] if "://" in pointer.text else ""
    if scheme in _POSTGRES:
        return _at_address(pointer, pointer.text)
    if not pointer.text and pointer.connection:
        return _at_address(pointer, "")
    if scheme == "sqlite":
        path = unquote(urlsplit(pointer.text).path)[1:]
    elif not scheme and _is_sqlite(pointer):
        path = pointer.text
    else:
        return None
    file = from_here(path, pointer.settings)
    address = Address("sqlite", str(file), str(confine(str(file), pointer.settings, SQLITE_PATH)))
    return _table(pointer, address, {"kind": "sql", "sqlite": shown(file, pointer.settings)}, {})


def _is_sqlite(pointer: Pointer) -> bool:
    try:
        with from_here(pointer.text, pointer.settings).open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except (OSError, ValueError):
        return False


def _at_address(pointer: Pointer, url: str) -> Given:
    """The table at the address `url`, or at that of the connection where there is none."""
    name = pointer.connection or _known_as(url) or pointer.loop
    if url:
        os.environ[f"{PREFIXES[0]}{name.upper()}"] = url
    address, variable = read_address(name)
    return _table(pointer, address, {"kind": "sql", "connection": name}, {variable: _without_password(url)})


def _known_as(url: str) -> str:
    """The connection that has this address already; empty when none has."""
    for variable, value in sorted(os.environ.items()):
        for prefix in PREFIXES:
            if value == url and variable.startswith(prefix):
                return variable.removeprefix(prefix).lower()
    return ""


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    if not url:
        return ""
    login, at, host = parts.netloc.rpartition("@")
    user, colon, _ = login.partition(":")
    return f"{parts.scheme}://{user}{colon and ':***'}{at}{host}{parts.path}"


def _table(pointer: Pointer, address: Address, keys: dict[str, Any], variables: dict[str, str]) -> Given:
    kind = "SQLite" if address.kind == "sqlite" else "PostgreSQL"
    table = _chosen(pointer, address)
    types: dict[str, ColumnType] = {}
    if address.kind == "sqlite":
        rows, whole = _first(sqlite.first_rows(address, table))
    else:
        types = postgres.column_types(address, table)
        rows, whole = _first(postgres.first_rows(address, table))
    if not rows:
        raise DataError("an empty table", where=f"{table} of {address.shown}", expected="rows")
    return Given(
        f"{table} of {address.shown}",
        f"a table of {kind}",
        {**keys, "table": table},
        Sample(None, tuple(rows), tuple(rows[0]), whole, types=types),
        says_day=False,
        notes={"connection": "its address is in the environment"} if "connection" in keys else {},
        variables=variables,
        dating="name the column with times or dates: --time COLUMN; or make a view that has one",
    )


def _chosen(pointer: Pointer, address: Address) -> str:
    if pointer.table:
        return pointer.table
    found = sqlite.tables(address) if address.kind == "sqlite" else postgres.tables(address)
    if len(found) == 1:
        return found[0]
    more = f" and {len(found) - _SHOWN_TABLES} more" if len(found) > _SHOWN_TABLES else ""
    raise ConfigurationError(
        "which table",
        where="--table",
        expected="a table or a view of this database",
        found=plain(", ".join(found[:_SHOWN_TABLES]), 500) + more if found else "a database without tables",
        remedy="name it: --table NAME, or --table SCHEMA.NAME",
    )


def _first(rows: Iterator[dict[str, Any]]) -> tuple[list[dict[str, Any]], bool]:
    """As many of the first rows as a sample may hold, and whether these are all."""
    found, size = list[dict[str, Any]](), 0
    for row in rows:
        if len(found) == MOST_RECORDS or size > MOST_BYTES:
            return found, False
        found.append(row)
        size += sum(len(value) for value in row.values() if isinstance(value, str | bytes))
    return found, True
