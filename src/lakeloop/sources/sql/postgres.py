"""PostgreSQL, by ADBC: batches of Arrow of some megabytes, however many rows a day has.

Bounds of a day stand in the SQL as typed literals: with a bound parameter the driver reads all rows at once.
What Arrow has no type for, or may not hold (an infinite timestamp), comes as the database's text of it.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from lakeloop.errors import ConfigurationError, DataError, LakeloopError, ServiceError
from lakeloop.extras import not_installed
from lakeloop.sources.day_window import bounds, since_1970
from lakeloop.sources.formats.arrow_rows import DECIMAL
from lakeloop.sources.sql.address import Address
from lakeloop.sources.sql.window import (
    MOST_DAYS,
    Relation,
    ordered,
    selected,
    table_name,
    text,
)  # fmt: skip
from lakeloop.spec.columns import Column, ColumnType
from lakeloop.spec.days import is_day
from lakeloop.spec.quoting import identifier

_BATCH_BYTES = 4 << 20
_TYPE = b"POSTGRESQL:type"
_INTEGERS = ("int2", "int4", "int8")
_FLOATS = ("float4", "float8")
_TEMPORAL = ("timestamptz", "timestamp", "date")
_TYPES: dict[str, ColumnType] = {
    "bool": "boolean", "float4": "number", "float8": "number", "numeric": "number", "date": "date",
    "timestamp": "timestamp", "timestamptz": "timestamp",
}  # fmt: skip
_SETTINGS = (
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
    "SET LOCAL TimeZone = 'UTC'",
    "SET LOCAL DateStyle = 'ISO, YMD'",
    "SET LOCAL IntervalStyle = 'iso_8601'",
    "SET LOCAL bytea_output = 'hex'",
    "SET LOCAL extra_float_digits = 1",
    "SET LOCAL standard_conforming_strings = on",
)
_REFUSED = re.compile(
    r"authentication failed|no password supplied|does not exist|no pg_hba|invalid URI|\b28\d{3}"
)
"""What libpq says, without a code, where trying again is of no use."""
_PASSING = re.compile(
    r"canceling statement|could not serialize|out of memory|No space left|deadlock detected"
)
"""What an ERROR says, without a code, that another try may not meet."""
_AWAY = ("08", "40", "53", "55", "57", "58")
"""Classes of SQLSTATE: connection, conflict with others, resources, locks, an operator, the system."""
_NOT_ALLOWED = ("25", "42", "3D", "3F", "0A", "28")
"""Of these: a writing statement, wrong syntax, a name that is not there, no permission."""


class Postgres(Relation):
    """One loop's table or query; every call reads in a transaction of its own."""

    def rows(self, day: str) -> Iterator[pa.RecordBatch]:
        """The rows of a day in their order; the first batch is empty and has the columns.

        Raises:
            ConfigurationError: the connection, the table, a column or the query is not what it should be.
            DataError: the query fails on the data.
            ServiceError: the server is away.
        """
        with opened(self._address) as session:
            types = session.types(self._nothing)
            names = selected(self._source, list(types), self.where)
            declared = {column.found: column for column in self._source.fields}
            columns = ", ".join(
                f"{_expression(name, types[name], declared.get(name))} AS {identifier(name)}"
                for name in names
            )
            window = self._window(day, types[self._day_column.found])
            decimals = {name for name in names if types[name] == "numeric"}
            for batch in session.batches(
                f"SELECT {columns} FROM {self._from} WHERE {window} ORDER BY {ordered(self._source, names)}"
            ):
                yield _with_decimals(batch, decimals)

    def days(self) -> list[str]:
        """The days that rows have, oldest first; the newest `MOST_DAYS` of them. Raises as `rows`."""
        with opened(self._address) as session:
            selected(self._source, list(session.types(self._nothing)), self.where)
            day, dated = self._day(session)
            found = session.values(
                f"SELECT DISTINCT ({day})::text AS day FROM {self._from} WHERE {dated}"
                f" ORDER BY 1 DESC LIMIT {MOST_DAYS}"
            )
        return sorted(str(row[0]) for row in found if is_day(str(row[0])))

    def undated(self) -> int:
        """How many rows have no day. Raises as `rows`."""
        with opened(self._address) as session:
            _, dated = self._day(session)
            return int(session.values(f"SELECT count(*) FROM {self._from} WHERE ({dated}) IS NOT TRUE")[0][0])

    def glances(self, day: str | None) -> dict[str, str]:
        """Day -> how many rows, and the transactions that wrote them; of one day, or of all.

        Nothing where it is not a table, and nothing when the server is away.
        """
        if self._source.table is None:
            return {}
        try:
            with opened(self._address) as session:
                name, dated = self._day(session)
                if day is not None:
                    dated = self._window(day, session.types(self._nothing)[self._day_column.found])
                found = session.values(
                    f"SELECT ({name})::text AS day, count(*) AS rows, sum(q.xmin::text::bigint)::text AS sum,"
                    f" max(q.xmin::text::bigint) AS newest FROM {self._from} WHERE {dated} GROUP BY 1"
                )
        except LakeloopError:
            return {}
        return {str(first): " ".join(map(str, rest)) for first, *rest in found}

    @property
    def _nothing(self) -> str:
        return f"SELECT * FROM {self._from} LIMIT 0"

    def _day(self, session: _Session) -> tuple[str, str]:
        """The expression of a row's day, and the condition that it has one."""
        kind, unit = session.types(self._nothing).get(self._day_column.found), self._day_column.moments.unit
        column, zone = self._column, text(self._zone)
        own = self._day_column.moments.zone
        if unit and kind in (*_INTEGERS, "numeric"):
            day = f"(to_timestamp({column} * {unit} / 1000000.0) AT TIME ZONE {zone})::date"
            return day, f"{column} IS NOT NULL"
        if self._day_column.type == "date" or (kind != "timestamptz" and own == self._zone):
            day = f"{column}::date"
        elif kind == "timestamptz":
            day = f"({column} AT TIME ZONE {zone})::date"
        else:
            day = f"(({column}::timestamp AT TIME ZONE {text(own)}) AT TIME ZONE {zone})::date"
        self._require_temporal(str(kind))
        return day, f"isfinite({column})"

    def _window(self, day: str, kind: str) -> str:
        """The condition that a row is of the day `day`."""
        column, (start, end) = self._column, bounds(day, self._zone)
        unit, own = self._day_column.moments.unit, self._day_column.moments.zone
        if unit and kind in (*_INTEGERS, "numeric"):
            first, last = str(since_1970(start, unit)), str(since_1970(end, unit))
        elif self._day_column.type == "date" or kind != "timestamptz":
            zone = self._zone if self._day_column.type == "date" else own
            first, last = (f"TIMESTAMP {text(_local(moment, zone))}" for moment in (start, end))
        else:
            first, last = (f"TIMESTAMPTZ {text(moment.isoformat())}" for moment in (start, end))
        if not unit:
            self._require_temporal(kind)
        return f"{column} >= {first} AND {column} < {last}"

    def _require_temporal(self, kind: str) -> None:
        if kind not in _TEMPORAL:
            raise ConfigurationError(
                f"column {self._day_column.found} says no day",
                where=self.where,
                expected=f"{', '.join(_TEMPORAL)}; or a number, if its format is such as epoch_s",
                found=kind,
                remedy="cast it in source.query: select ..., created::timestamptz as created from ...",
            )


@contextlib.contextmanager
def opened(address: Address) -> Iterator[_Session]:
    """A connection in a transaction that only reads.

    Raises:
        ConfigurationError: the driver is not installed, or the server lets nobody in, or has no such table.
        DataError: a query fails on the data.
        ServiceError: the server is away.
    """
    try:
        import adbc_driver_manager as adbc
        from adbc_driver_postgresql import dbapi
    except ImportError as error:
        packages = "adbc-driver-manager and adbc-driver-postgresql"
        raise not_installed("PostgreSQL", packages, "sql", where=address.shown, error=error) from error
    try:
        with dbapi.connect(address.target) as connection:
            session = _Session(connection)
            for setting in _SETTINGS:
                session.values(setting)
            yield session
    except (adbc.Error, pa.ArrowException, OSError) as error:
        raise _told(error, address) from error


def tables(address: Address) -> list[str]:
    """The tables and views that may be read, with their schema where it is not `public`.

    Raises as `opened`.
    """
    with opened(address) as session:
        found = session.values(
            "SELECT table_schema::text, table_name::text FROM information_schema.tables"
            " WHERE table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2"
        )
    return [name if schema == "public" else f"{schema}.{name}" for schema, name in found]


def column_types(address: Address, table: str) -> dict[str, ColumnType]:
    """The types of a table's columns; without whole numbers, which may be moments. Raises as `opened`."""
    with opened(address) as session:
        types = session.types(f"SELECT * FROM {table_name(table)} LIMIT 0")
    return {name: _TYPES.get(kind, "string") for name, kind in types.items() if kind not in _INTEGERS}


def first_rows(address: Address, table: str) -> Iterator[dict[str, Any]]:
    """The rows of a table, in whatever order; what Arrow has no type for as text. Raises as `opened`."""
    where = table_name(table)
    with opened(address) as session:
        types = session.types(f"SELECT * FROM {where} LIMIT 0")
        columns = ", ".join(
            f"{_expression(name, kind, None)} AS {identifier(name)}" for name, kind in types.items()
        )
        for batch in session.batches(f"SELECT {columns} FROM {where} AS q"):
            yield from batch.to_pylist()


class _Session:
    """A connection whose transaction is begun. Raises the driver's errors."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def types(self, query: str) -> dict[str, str]:
        """Column -> type, as PostgreSQL calls it."""
        with self._connection.cursor() as cursor:
            cursor.execute(query)
            schema = cursor.fetch_record_batch().schema
        return {each.name: (each.metadata or {}).get(_TYPE, b"").decode() for each in schema}

    def values(self, query: str) -> list[tuple[Any, ...]]:
        """The few rows of a statement; none where it has no result."""
        with self._connection.cursor() as cursor:
            cursor.execute(query)
            return list(cursor.fetchall()) if cursor.description else []

    def batches(self, query: str) -> Iterator[pa.RecordBatch]:
        """An empty batch with the columns, then the rows as they come."""
        from adbc_driver_postgresql import StatementOptions

        with self._connection.cursor() as cursor:
            hint = {StatementOptions.BATCH_SIZE_HINT_BYTES.value: str(_BATCH_BYTES)}
            cursor.adbc_statement.set_options(**hint)
            cursor.execute(query)
            reader = cursor.fetch_record_batch()
            yield pa.RecordBatch.from_arrays(
                [pa.nulls(0, field.type) for field in reader.schema], names=reader.schema.names
            )
            yield from reader


def _expression(name: str, kind: str, column: Column | None) -> str:
    """What is selected of a column: a value that Arrow has, or a text that loses nothing of it."""
    quoted, declared = f"q.{identifier(name)}", column.type if column else None
    if kind in _INTEGERS or (kind == "bool" and declared in ("boolean", None)):
        return quoted
    if kind in _FLOATS and declared in ("integer", "number", None):
        return f"{quoted}::float8"
    if kind.startswith("_"):
        return f"to_json({quoted})::text"
    if kind == "timestamp" and declared == "date":
        return f"regexp_replace({quoted}::text, ' 00:00:00$', '')"
    return f"{quoted}::text"


def _with_decimals(batch: pa.RecordBatch, decimals: set[str]) -> pa.RecordBatch:
    arrays = [
        pa.ExtensionArray.from_storage(DECIMAL, column.cast(pa.string())) if name in decimals else column
        for name, column in zip(batch.schema.names, batch.columns, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)


def _local(moment: datetime, zone: str) -> str:
    return moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None).isoformat(sep=" ")


def _state_of(said: str) -> str:
    """The class of SQLSTATE of an error that comes amid the rows: of these only the words are told."""
    if "ERROR:" not in said or _PASSING.search(said):
        return ""
    return "25" if "read-only transaction" in said else "22"


def _told(error: Exception, address: Address) -> LakeloopError:
    """An error of the driver as one of ours: is it worth another try."""
    where = address.shown
    state = getattr(error, "sqlstate", None) or _state_of(str(error))
    found = re.sub(r"^.*?(ERROR|FATAL):\s*|\s*(LINE \d+:.*)?Query was:.*", "", str(error), flags=re.DOTALL)
    found = address.hide(found)
    if not state and _REFUSED.search(str(error)):
        return ConfigurationError(
            "PostgreSQL lets nobody in with this connection",
            where=where,
            expected="a user, a password and a database that the server knows",
            found=found,
            remedy="correct the address in the environment variable of this connection",
        )
    if state[:2] in _NOT_ALLOWED:
        return ConfigurationError(
            "PostgreSQL refuses what the loop file asks for",
            where=where,
            expected="a table or view that may be read, or one SELECT that only reads",
            found=found,
            remedy="correct source.table, source.query or source.columns in the loop file;"
            " or have SELECT granted to the user of this connection",
        )
    if state and state[:2] not in _AWAY:
        return DataError(
            "the query fails on the data",
            where=where,
            expected="a query that gives rows, whatever the data",
            found=found,
            remedy="nothing was published; correct source.query in the loop file, or the data",
        )
    return ServiceError(
        "PostgreSQL does not answer",
        where=where,
        expected="a server that answers until all rows are read",
        found=found,
        remedy="is the server up, and can it be reached from here? It is tried again",
    )
