"""SQLite, by Python's own driver: in a table each value has a type of its own, and keeps it here.

A driver of Arrow guesses the type of a column from its first rows and loses the stream at the first value of
another one; here that is one rejected row.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from lakeloop.errors import ConfigurationError, DataError, LakeloopError, ServiceError
from lakeloop.sources.sql.address import Address
from lakeloop.sources.sql.window import MOST_DAYS, Relation, ordered, selected, table_name
from lakeloop.sources.values import parse, since_1970
from lakeloop.spec.columns import Column, ColumnType
from lakeloop.spec.days import is_day
from lakeloop.spec.quoting import identifier

_ROWS_AT_ONCE = 64
_BATCH_ROWS = 8192
_BATCH_BYTES = 8 << 20
_WAIT_SECONDS = 10
_DAY = "lakeloop_day"
_TYPES: tuple[tuple[type, pa.DataType], ...] = (
    (bool, pa.bool_()), (int, pa.int64()), (float, pa.float64()), (str, pa.string()), (bytes, pa.binary()),
)  # fmt: skip
_WRITTEN = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"


class Sqlite(Relation):
    """One loop's table or query; every call reads in a transaction of its own."""

    def rows(self, day: str) -> Iterator[pa.RecordBatch]:
        """The rows of a day in their order; the first batch is empty and has the columns.

        Raises:
            ConfigurationError: the file, the table, a column or the query is not what it should be.
            DataError: the file is damaged.
            ServiceError: the file is locked.
        """
        with self._session() as connection:
            there = self._names(connection)
            names = selected(self._source, there, self.where)
            declared = {column.found: column.type for column in self._source.fields}
            types = [declared.get(name) for name in names]
            yield _batch([], names, types)
            columns = ", ".join(f"q.{identifier(name)}" for name in names)
            cursor = connection.execute(
                f"SELECT {columns} FROM {self._from} WHERE {self._likely(day)} AND {self._day()} = ?"
                f" ORDER BY {ordered(self._source, names)}",
                (day,),
            )
            for rows in _some(cursor):
                yield _batch(rows, names, types)

    def days(self) -> list[str]:
        """The days that rows have, oldest first; the newest `MOST_DAYS` of them. Raises as `rows`."""
        with self._session() as connection:
            selected(self._source, self._names(connection), self.where)
            found = connection.execute(
                f"SELECT DISTINCT {self._day()} FROM {self._from} ORDER BY 1 DESC LIMIT {MOST_DAYS}"
            ).fetchall()
        return sorted(row[0] for row in found if row[0] and is_day(row[0]))

    def undated(self) -> int:
        """How many rows have no day. Raises as `rows`."""
        with self._session() as connection:
            query = f"SELECT count(*) FROM {self._from} WHERE {self._day()} IS NULL"
            return int(connection.execute(query).fetchone()[0])

    def glances(self, day: str | None) -> dict[str, str]:
        """Day -> sizes, times and numbers of the files, the same for every day; nothing of all days."""
        if day is None:
            return {}
        states = []
        for name in (self._address.target, f"{self._address.target}-wal"):
            with contextlib.suppress(OSError):
                state = Path(name).stat()
                states.append(f"{state.st_size} {state.st_mtime_ns} {state.st_ctime_ns} {state.st_ino}")
        return {day: hashlib.sha256("\n".join(states).encode()).hexdigest()} if states else {}

    def _names(self, connection: sqlite3.Connection) -> list[str]:
        cursor = connection.execute(f"SELECT * FROM {self._from} LIMIT 0")
        return [each[0] for each in cursor.description]

    def _likely(self, day: str) -> str:
        """A condition that holds for all rows of a day and few others, and calls no function of ours."""
        if self._day_column.moments.unit or self._day_column.moments.format:
            return "TRUE"
        first, last = (_shifted(day, days) for days in (-1, 2))
        column = self._column
        return (
            f"CASE WHEN substr({column}, 5, 1) = '-' AND substr({column}, 8, 1) = '-'"
            f" THEN {column} >= '{first}' AND {column} < '{last}' ELSE TRUE END"
        )

    def _day(self) -> str:
        """The expression of a row's day; most texts are read without a function of ours."""
        column, moments = self._column, self._day_column.moments
        slow = f"{_DAY}({column})"
        if moments.unit or moments.format or (self._day_column.type != "date" and moments.zone != self._zone):
            return slow
        return (
            f"CASE WHEN (length({column}) = 10 AND {column} GLOB '{_WRITTEN}'"
            f" OR length({column}) = 19 AND {column} GLOB '{_WRITTEN}[T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9]')"
            f" AND date(substr({column}, 1, 10)) = substr({column}, 1, 10)"
            f" THEN substr({column}, 1, 10) ELSE {slow} END"
        )

    @contextlib.contextmanager
    def _session(self) -> Iterator[sqlite3.Connection]:
        with opened(self._address) as connection:
            connection.create_function(_DAY, 1, self._day_of, deterministic=True)
            yield connection

    def _day_of(self, value: str | bytes | float | None) -> str | None:
        """A row's day; of a text that is no moment the day that it begins with: there it is rejected."""
        day = day_of(value, self._day_column, self._zone)
        if day is None and isinstance(value, str) and is_day(value[:10]):
            return value[:10]
        return day


@contextlib.contextmanager
def opened(address: Address) -> Iterator[sqlite3.Connection]:
    """A connection that only reads, in a transaction.

    Raises:
        ConfigurationError: the file is none of SQLite, or has no such table.
        DataError: it is damaged.
        ServiceError: it is locked.
    """
    path = address.target
    try:
        with contextlib.closing(
            sqlite3.connect(
                f"file:{quote(path)}?mode=ro", uri=True, isolation_level=None, timeout=_WAIT_SECONDS
            )
        ) as connection:
            connection.text_factory = _text
            connection.execute("PRAGMA query_only = 1")
            connection.execute("BEGIN")
            yield connection
    except sqlite3.Error as error:
        raise _told(error, address, Path(path).exists()) from error


def tables(address: Address) -> list[str]:
    """The tables and views, by name. Raises as `opened`."""
    with opened(address) as connection:
        found = connection.execute(
            "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%'"
            " ESCAPE '\\' ORDER BY 1"
        )
        return [str(name) for (name,) in found]


def first_rows(address: Address, table: str) -> Iterator[dict[str, Any]]:
    """The rows of a table, in whatever order, as they stand there. Raises as `opened`."""
    with opened(address) as connection:
        cursor = connection.execute(f"SELECT * FROM {table_name(table)}")
        names = [each[0] for each in cursor.description]
        for row in cursor:
            yield dict(zip(names, row, strict=True))


def day_of(value: str | bytes | float | None, column: Column, zone: str) -> str | None:
    """The calendar day of a value in a time zone; None when it is none."""
    try:
        if isinstance(value, int | float) and column.moments.unit:
            found: Any = since_1970(str(value), column.moments.unit)
        elif isinstance(value, str):
            found = parse(value, column.type, column.moments)
        else:
            return None
        if isinstance(found, datetime):
            found = found.astimezone(ZoneInfo(zone)).date()
        return str(found.isoformat())
    except (ValueError, OverflowError):
        return None


def _text(value: bytes) -> str | bytes:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def _some(cursor: sqlite3.Cursor) -> Iterator[list[tuple[Any, ...]]]:
    """The rows of a cursor, some thousand or some megabytes at once."""
    rows: list[tuple[Any, ...]] = []
    size = 0
    while part := cursor.fetchmany(_ROWS_AT_ONCE):
        rows += part
        size += sum(len(value) for row in part for value in row if isinstance(value, str | bytes))
        if len(rows) >= _BATCH_ROWS or size >= _BATCH_BYTES:
            yield rows
            rows, size = [], 0
    if rows:
        yield rows


def _batch(
    rows: list[tuple[Any, ...]], names: Sequence[str], types: Sequence[ColumnType | None]
) -> pa.RecordBatch:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(names)
    arrays = [_array(list(column), kind) for column, kind in zip(columns, types, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, names=list(names))


def _array(values: list[Any], kind: ColumnType | None) -> pa.Array:
    """Values of one type as an array of it, of several as a dense union."""
    if kind == "boolean":  # SQLite has none: they are 0 and 1
        values = [bool(value) if type(value) is int and value in (0, 1) else value for value in values]
    there = [pair for pair in _TYPES if pair[0] in set(map(type, values))]
    if len(there) < 2:
        return pa.array(values, there[0][1] if there else pa.null())
    code = {each: number for number, (each, _) in enumerate(there)}
    codes = np.array([code.get(type(value), 0) for value in values], np.int8)
    children: list[list[Any]] = [[] for _ in there]
    offsets = np.empty(len(values), np.int32)
    for place, (value, number) in enumerate(zip(values, codes.tolist(), strict=True)):
        offsets[place] = len(children[number])
        children[number].append(value)
    arrays = [pa.array(child, kind) for child, (_, kind) in zip(children, there, strict=True)]
    return pa.UnionArray.from_dense(pa.array(codes), pa.array(offsets), arrays)


def _shifted(day: str, days: int) -> str:
    try:
        return (date.fromisoformat(day) + timedelta(days=days)).isoformat()
    except OverflowError:
        return "0000" if days < 0 else "9999-99"


_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY)


def _told(error: sqlite3.Error, address: Address, there: bool) -> LakeloopError:
    """An error of SQLite as one of ours: is it worth another try."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    found = address.hide(str(error)) if there else "no such file"
    if code in _BUSY:
        return ServiceError(
            "the database is in use",
            where=address.shown,
            expected=f"a file that can be read within {_WAIT_SECONDS} seconds",
            found=found,
            remedy="who writes it? It is tried again",
        )
    if code == sqlite3.SQLITE_CORRUPT:
        return DataError(
            "the database is damaged",
            where=address.shown,
            expected="a whole SQLite file",
            found=found,
            remedy="nothing was published; put a whole copy there",
        )
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOTADB) or not there:
        return ConfigurationError(
            "not a SQLite file that can be read",
            where=address.shown,
            expected="a SQLite file that this user may read",
            found=found,
            remedy="correct source.sqlite in the loop file, or the connection",
        )
    return ConfigurationError(
        "SQLite refuses what the loop file asks for",
        where=address.shown,
        expected="a table or view, or one SELECT that only reads",
        found=found,
        remedy="correct source.table, source.query or source.columns in the loop file",
    )
