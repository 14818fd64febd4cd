"""Source `sql`: finds the rows of a day, and keeps them as they were in one moment until they are read."""

from __future__ import annotations

import logging
import tempfile
import weakref
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from lakeloop.errors import LakeloopError
from lakeloop.settings import Settings
from lakeloop.sources.base import Block, row_schema
from lakeloop.sources.by_day.digest import PieceDigest
from lakeloop.sources.formats.arrow_rows import ArrowRows
from lakeloop.sources.portable import reject_line, reject_of
from lakeloop.sources.spool import Spool
from lakeloop.sources.sql.address import Address, address_of
from lakeloop.sources.sql.postgres import Postgres
from lakeloop.sources.sql.sqlite import Sqlite
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.sql import SqlSource

log = logging.getLogger(__name__)

_REJECTS_AT_ONCE = 2048


class Database(Protocol):
    """A table or a query of a kind of database."""

    where: str

    def rows(self, day: str) -> Iterator[pa.RecordBatch]: ...

    def days(self) -> list[str]: ...

    def undated(self) -> int: ...

    def glances(self, day: str | None) -> dict[str, str]: ...


def _database(address: Address, source: SqlSource, zone: str) -> Database:
    if address.kind == "sqlite":
        return Sqlite(address, source, zone)
    return Postgres(address, source, zone)


class SqlRows:
    """Rows of a table or a query by day: read in one transaction, so that they are those of one moment."""

    replays = False

    def __init__(self, loop: LoopSpec, settings: Settings) -> None:
        assert isinstance(loop.source, SqlSource)
        self.place = loop.source.place
        self._loop = loop
        self._settings = settings
        self._source = loop.source
        self._glances: dict[str, str] = {}
        self._glanced = 0

    def find(self, partition: str) -> SqlDelivery | None:
        """The rows of the day, read and kept on the local disk; None when there is none.

        Raises:
            ConfigurationError: the connection, the table, a column or the query is not what it should be.
            DataError: the query fails on the data.
            ServiceError: the database is away, or locked.
        """
        database = self._database()
        folder = self._settings.work(self._loop.name, "ingest", partition)
        folder.mkdir(parents=True, exist_ok=True)
        where = f"{database.where}, {self._source.table or 'source.query'}, rows of {partition}"
        delivery = SqlDelivery(self._source, self.place, where, folder)
        try:
            delivery.take(database.rows(partition))
        except BaseException:
            delivery.close()
            raise
        if delivery.read:
            return delivery
        delivery.close()
        return None

    def glance(self, partition: str) -> str | None:
        """Of a table of PostgreSQL which transactions wrote the rows; of SQLite size and times of its file.

        From the second day that is asked for, one query tells all days.
        """
        self._glanced += 1
        try:
            if self._glanced == 1:
                return self._database().glances(partition).get(partition)
            if self._glanced == 2:
                self._glances = self._database().glances(None)
            return self._glances.get(partition) or self._database().glances(partition).get(partition)
        except LakeloopError:
            return None

    def unread_bytes(self) -> None:
        """None: a day is read whole, and that is for ingest to do."""

    def absence(self, partition: str) -> str:
        """What days there are, and how many rows are of none."""
        try:
            database = self._database()
            days, undated = database.days(), database.undated()
        except LakeloopError as error:
            return f"no row of {partition} in {self.place}: {error.message}"
        there = f"{len(days)} day(s) there, {days[0]} to {days[-1]}" if days else "no row there has a day"
        lost = f"; {undated} row(s) have no day in {self._source.partition_by}" if undated else ""
        return f"no row of {partition} in {self.place}: {there}{lost}"

    def partitions(self) -> list[str]:
        """The days of the rows, by one query; a warning says how many rows have none."""
        try:
            database = self._database()
            days, undated = database.days(), database.undated()
        except LakeloopError:
            return []
        if undated:
            log.warning(
                "%s: %d row(s) are in no delivery: %s says no day",
                self.place,
                undated,
                self._source.partition_by,
            )
        return days

    def _database(self) -> Database:
        address = address_of(self._source, self._settings)
        return _database(address, self._source, self._loop.schedule.timezone)


class SqlDelivery:
    """The rows of one day, on the local disk in files without a name: they go with the process."""

    def __init__(self, source: SqlSource, name: str, where: str, folder: Path) -> None:
        self.name = name
        self.where = where
        self.identity = ""
        self.read = 0
        self._source = source
        self._schema = row_schema(source)
        self._rows = Spool(self._schema, folder)
        self._rejects = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by `close`
        self._undeclared: dict[str, int] = {}
        self.close = weakref.finalize(self, _close, self._rows, self._rejects)

    def take(self, batches: Iterator[pa.RecordBatch]) -> None:
        """Read all rows once, and name them by what they are."""
        digest = PieceDigest()
        rows = ArrowRows(next(batches).schema, self.where, self._source)
        for batch in batches:
            block = rows.block(batch, self.read + 1)
            self.read += block.read
            if block.rows.num_rows:
                digest.rows(self.name, block.rows)
                self._rows.append(block.rows)
            for reject in block.rejects:
                line = reject_line(None, reject)
                digest.reject(line)
                self._rejects.write(line)
            for field, count in block.undeclared.items():
                self._undeclared[field] = self._undeclared.get(field, 0) + count
        self.identity = f"rows:{digest.hexdigest()}"

    def blocks(self) -> Iterator[Block]:
        """The good rows, then the bad ones, each in their order; once."""
        undeclared = self._undeclared
        for batch in self._rows.batches():
            yield Block(batch, (), batch.num_rows, undeclared)
            undeclared = {}
        self._rejects.seek(0)
        nothing = pa.RecordBatch.from_pylist([], self._schema)
        while lines := list(islice(self._rejects, _REJECTS_AT_ONCE)):
            rejects = tuple(reject_of(line)[1] for line in lines)
            yield Block(nothing, rejects, len(rejects))

    def require_unchanged(self) -> None:
        """They are those of one moment of the database, whatever it has now."""


def _close(*files: object) -> None:
    for file in files:
        if isinstance(file, Spool):
            file.__exit__(None, None, None)
        else:
            file.close()  # type: ignore[attr-defined]
