"""How Great Expectations reads a DuckDB file: an SQLAlchemy dialect that closes two gaps of duckdb-engine.

GX fetches rows after the connection went back to its pool, and DuckDB drops a pending result there; so
results are fetched when the statement runs. And duckdb-engine asks for the columns of a table through
PostgreSQL catalogues that DuckDB does not have; so they are asked from DuckDB. What is checked is in
`expectations`; importing this module imports SQLAlchemy.
"""

from __future__ import annotations

import atexit
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb_engine
from sqlalchemy import text
from sqlalchemy.dialects import registry
from sqlalchemy.engine import URL, Connection
from sqlalchemy.engine.interfaces import ReflectedColumn
from sqlalchemy.types import NullType

_DRIVER = "lakeloop"
registry.register(f"duckdb.{_DRIVER}", __name__, "Dialect")

# duckdb-engine hangs functions on classes of SQLAlchemy that GX keeps beyond the end of the interpreter, and
# through their globals DuckDB's own types: its binding then ends the process with a page about leaks.
atexit.register(vars(duckdb_engine).clear)


def url(database: Path, options: Mapping[str, str]) -> str:
    """The SQLAlchemy URL by which GX opens the DuckDB file `database` with DuckDB's `options`."""
    address = URL.create(f"duckdb+{_DRIVER}", database=str(database), query=options)
    return address.render_as_string(hide_password=False)


class BufferedCursor:
    """A cursor whose rows are in memory as soon as the statement has run.

    Meant for what GX asks: counts and a few example rows, never a table.
    """

    def __init__(self, cursor: duckdb_engine.CursorWrapper) -> None:
        self._cursor = cursor
        self._rows: list[Any] = []
        self._next = 0
        self.description: list[tuple[Any, ...]] = []
        self.arraysize = 1

    def execute(self, statement: str, parameters: Any = None, context: Any = None) -> None:
        self._cursor.execute(statement, parameters, context)
        # Types by name: SQLAlchemy keeps descriptions until the end of the process, and DuckDB's binding
        # then prints a page about each of its type objects that is still alive.
        self.description = [(name, str(kind), *rest) for name, kind, *rest in self._cursor.description or ()]
        self._rows = self._cursor.fetchall() if self.description else []
        self._next = 0

    def fetchone(self) -> Any:
        rows = self.fetchmany(1)
        return rows[0] if rows else None

    def fetchmany(self, size: int | None = None) -> list[Any]:
        start, self._next = self._next, min(self._next + (size or self.arraysize), len(self._rows))
        return self._rows[start : self._next]

    def fetchall(self) -> list[Any]:
        return self.fetchmany(len(self._rows) + 1)

    @property
    def rowcount(self) -> int:
        return len(self._rows)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)


class BufferedConnection:
    """A connection of duckdb-engine that hands out buffered cursors."""

    def __init__(self, connection: duckdb_engine.ConnectionWrapper) -> None:
        self._connection = connection

    def cursor(self) -> BufferedCursor:
        return BufferedCursor(self._connection.cursor())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


class Dialect(duckdb_engine.Dialect):
    """`duckdb+lakeloop`: duckdb-engine with buffered results and with reflection of columns."""

    driver = _DRIVER
    supports_statement_cache = False

    def connect(self, *arguments: Any, **options: Any) -> Any:
        return BufferedConnection(super().connect(*arguments, **options))

    def get_columns(
        self, connection: Connection, table_name: str, schema: str | None = None, **_: Any
    ) -> list[ReflectedColumn]:
        rows = connection.execute(
            text(
                "select column_name, data_type, is_nullable, column_default from duckdb_columns() "
                "where table_name = :table and schema_name = :schema order by column_index"
            ),
            {"table": table_name, "schema": schema or "main"},
        )
        return [
            ReflectedColumn(
                name=str(name),
                type=self.ischema_names.get(str(kind), NullType)(),
                nullable=bool(nullable),
                default=None if default is None else str(default),
            )
            for name, kind, nullable, default in rows
        ]
