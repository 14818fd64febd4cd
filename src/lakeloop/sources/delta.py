"""Source `delta`: the rows of a Delta table that somebody else writes, those of one day a delivery.

A day is what the files of one version say of it: they never change, and their names are its identity. Which
files can hold rows of a day the table's log knows, by partition and by statistics of the column; where it
knows neither, a day is another with every commit.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, DeltaProtocolError, TableNotFoundError
from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

from lakeloop.errors import ConfigurationError, DataError, LakeloopError, ServiceError, TransientError
from lakeloop.settings import Settings
from lakeloop.sources.base import Block
from lakeloop.sources.by_day.split import calendar_days
from lakeloop.sources.day_window import bounds, since_1970
from lakeloop.sources.formats.arrow_rows import ArrowRows
from lakeloop.sources.objects.credentials import Access, access_to
from lakeloop.sources.values import since_1970_column
from lakeloop.spec.address import is_address
from lakeloop.spec.days import is_day
from lakeloop.spec.delta import DeltaSource
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.paths import TABLE_PATH, confine
from lakeloop.spec.quoting import plain

log = logging.getLogger(__name__)

_BATCH_ROWS = 16_384
_BUFFER_BYTES = 1 << 20
_EPOCH_DAY = "%Y-%m-%d"


class DeltaDays:
    """The days of a Delta table, all of one version: the one named, or the newest when it was asked for."""

    replays = False

    def __init__(self, loop: LoopSpec, settings: Settings) -> None:
        assert isinstance(loop.source, DeltaSource)
        self.place = loop.source.table
        self._source = loop.source
        self._settings = settings
        self._zone = loop.schedule.timezone

    def find(self, partition: str) -> DeltaDelivery | None:
        """The rows of the day; None when there are none.

        Raises:
            ConfigurationError: no such table, version, column or connection, or it needs a newer reader.
            ServiceError: the store is away.
        """
        table = self._table
        files = table.files(partition)
        with table.told():
            if not files or not table.scanner(files, partition, [table.day.name]).head(1).num_rows:
                return None
        return DeltaDelivery(self._source, table, partition, files)

    def glance(self, partition: str) -> str | None:
        """The names of the files that can hold rows of the day; no data is read."""
        try:
            return _identity(self._table.files(partition))
        except LakeloopError:
            return None

    def unread_bytes(self) -> int | None:
        """0: a day is read from its beginning; None where it has to be fetched."""
        return None if is_address(self.place) else 0

    def absence(self, partition: str) -> str:
        try:
            days, version = self._table.days(), self._table.version
        except LakeloopError as error:
            return f"no row of {partition} in {self.place}: {error.message}"
        there = f"{len(days)} day(s) there, {days[0]} to {days[-1]}" if days else "no row there has a day"
        return f"no row of {partition} in version {version} of {self.place}: {there}"

    def partitions(self) -> list[str]:
        """The days of the rows, by the log where it knows; else the column is read."""
        try:
            return self._table.days()
        except LakeloopError:
            return []

    @cached_property
    def _table(self) -> _Table:
        source = self._source
        snapshot = open_snapshot(source.table, source.connection, self._settings, source.version)
        return _Table(source, snapshot, self._zone)


@dataclass(frozen=True)
class Snapshot:
    """One version of a table, whatever it has."""

    table: DeltaTable
    rows: ds.FileSystemDataset
    access: Access


def open_snapshot(
    table: str, connection: str | None, settings: Settings, version: int | None = None
) -> Snapshot:
    """A version of the table at a path or an address; the newest where none is named.

    Raises:
        ConfigurationError: no such table, version or connection, or it needs a newer reader.
        ServiceError: the store is away.
    """
    if is_address(table):
        access, local = access_to(table, connection, settings), None
    else:
        access, local = Access({}, plain=False), str(confine(table, settings, TABLE_PATH))
    with _told(table, access):
        found = DeltaTable(local or table, version=version, storage_options=access.of_tables or None)
        # A local disk is read by Arrow itself: see lakeloop.lake.delta.
        files = SubTreeFileSystem(local, LocalFileSystem()) if local else None
        return Snapshot(found, found.to_pyarrow_dataset(filesystem=files), access)


class _Table:
    """One version of a table, and how its rows have days."""

    def __init__(self, source: DeltaSource, snapshot: Snapshot, zone: str) -> None:
        self.where = source.table
        self.version = snapshot.table.version()
        self._snapshot = snapshot.table
        self._access = snapshot.access
        self._zone = zone
        self._dataset = snapshot.rows
        self._column = next(column for column in source.fields if column.name == source.partition_by)
        names = self._dataset.schema.names
        declared = [column.found for column in source.fields]
        if missing := [name for name in declared if name not in names]:
            raise ConfigurationError(
                f"there is no column {plain(missing[0])}",
                where=self.where,
                expected=plain(", ".join(declared), 500),
                found=plain(", ".join(names), 500),
                remedy="correct source.columns in the loop file: `from` says what the table calls a column",
            )
        self.columns = declared if source.undeclared == "ignore" else list(names)
        self.day = self._dataset.schema.field(self._column.found)
        self._require_days()

    def files(self, day: str) -> list[ds.Fragment]:
        """The files that can hold rows of the day, in the order of their names."""
        return sorted(self._dataset.get_fragments(filter=self._is_of(day)), key=lambda each: str(each.path))

    def scanner(self, files: list[ds.Fragment], day: str, columns: list[str]) -> ds.Scanner:
        """The rows of the day in `files`, in their order; a few batches are held."""
        parquet = ds.ParquetFragmentScanOptions(
            pre_buffer=False, use_buffered_stream=True, buffer_size=_BUFFER_BYTES
        )
        some = self._dataset.format, self._dataset.filesystem
        return ds.FileSystemDataset(files, self._dataset.schema, *some).scanner(
            columns=columns,
            filter=self._is_of(day),
            batch_size=_BATCH_ROWS,
            batch_readahead=2,
            fragment_readahead=1,
            fragment_scan_options=parquet,
        )

    def days(self) -> list[str]:
        """The days that rows have, oldest first."""
        with self.told():
            known, wide = self._days_by_the_log()
            found = set(known)
            for file in self._dataset.get_fragments():
                if file.path in wide:
                    for batch in file.to_batches(schema=self._dataset.schema, columns=[self.day.name]):
                        found |= self._names(pc.unique(batch.column(0)))
        return sorted(found)

    @contextmanager
    def told(self) -> Iterator[None]:
        """Errors of reading as ours."""
        with _told(self.where, self._access):
            yield

    def _days_by_the_log(self) -> tuple[set[str], set[str]]:
        """The days of files that have one each; and the other files, by their paths."""
        actions = pa.table(self._snapshot.get_add_actions(flatten=True))
        nothing = pa.nulls(actions.num_rows, self.day.type)
        name = self.day.name
        if name in self._snapshot.metadata().partition_columns:
            first = last = actions[f"partition.{name}"] if actions.num_rows else nothing
        else:
            first, last = (
                actions[found] if (found := f"{edge}.{name}") in actions.column_names else nothing
                for edge in ("min", "max")
            )
        paths = (str(each.path) for each in self._dataset.get_fragments())
        known, narrow = set[str](), set[str]()
        edges = zip(self._each(first), self._each(last), actions["path"].to_pylist(), strict=True)
        for one, other, path in edges:
            if one and one == other:
                known.add(one)
                narrow.add(path)
        wide = {path for path in paths if path not in narrow}
        if wide and len(wide) == actions.num_rows > 1 and not pc.any(pc.is_valid(first)).as_py():
            log.warning(
                "%s: its log knows nothing of column %s: every commit makes every day another one;"
                " partition the table by it, or have statistics of it collected",
                self.where,
                name,
            )
        return known, wide

    def _each(self, values: pa.ChunkedArray | pa.Array) -> list[str | None]:
        whole = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
        days = self._as_days(whole.cast(self.day.type))
        return [None if day is None else day.isoformat() for day in days.to_pylist()]

    def _names(self, values: pa.Array) -> set[str]:
        return {day.isoformat() for day in self._as_days(values).to_pylist() if day is not None}

    def _as_days(self, values: pa.Array) -> pa.Array:
        """Values of the column as the calendar days of the loop's zone."""
        kind = values.type
        if pa.types.is_date(kind):
            return values
        if pa.types.is_timestamp(kind):
            zone = kind.tz or self._column.moments.zone
            if kind.tz is None:
                values = pc.assume_timezone(values, zone, ambiguous="earliest", nonexistent="latest")
            return calendar_days(values.cast(pa.timestamp("us", "UTC")), self._zone)
        if pa.types.is_integer(kind):
            return calendar_days(since_1970_column(values, self._column.moments.unit or 1), self._zone)
        there = [value if value and is_day(value) else None for value in values.to_pylist()]
        return pc.strptime(pa.array(there, pa.string()), _EPOCH_DAY, "s").cast(pa.date32())

    def _is_of(self, day: str) -> ds.Expression:
        """The condition that a row is of the day."""
        field, kind, unit = ds.field(self.day.name), self.day.type, self._column.moments.unit
        if pa.types.is_date(kind):
            return field == pa.scalar(day).cast(kind)
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            return field == pa.scalar(day, kind)
        start, end = bounds(day, self._zone)
        if pa.types.is_integer(kind):
            edges = [pa.scalar(since_1970(moment, unit or 1), kind) for moment in (start, end)]
        elif kind.tz is None:
            zone = ZoneInfo(self._column.moments.zone)
            edges = [pa.scalar(each.astimezone(zone).replace(tzinfo=None), kind) for each in (start, end)]
        else:
            edges = [pa.scalar(moment, kind) for moment in (start, end)]
        return (field >= edges[0]) & (field < edges[1])

    def _require_days(self) -> None:
        kind, column = self.day.type, self._column
        as_text = pa.types.is_string(kind) and column.type == "date" and not column.moments.format
        as_number = pa.types.is_integer(kind) and column.moments.unit
        if not (pa.types.is_date(kind) or pa.types.is_timestamp(kind) or as_text or as_number):
            raise ConfigurationError(
                f"column {column.found} says no day",
                where=self.where,
                expected="a timestamp or a date; a text such as 2026-11-20 that is declared as date; or a"
                " number, if its format is such as epoch_s",
                found=str(kind),
                remedy="name another column in source.partition_by",
            )


class DeltaDelivery:
    """The rows of one day; see `Delivery`."""

    def __init__(self, source: DeltaSource, table: _Table, day: str, files: list[ds.Fragment]) -> None:
        self.name = f"{source.table} {day}"
        self.where = f"{source.table}, version {table.version}, rows of {day}"
        self.identity = f"delta:{_identity(files)}"
        self._source = source
        self._table = table
        self._day = day
        self._files = files

    def blocks(self) -> Iterator[Block]:
        """The rows in the order of the files' names."""
        with self._table.told():
            scanner = self._table.scanner(self._files, self._day, self._table.columns)
            rows, first = ArrowRows(scanner.projected_schema, self.where, self._source), 1
            for batch in scanner.to_reader():
                if batch.num_rows:
                    yield rows.block(batch, first)
                    first += batch.num_rows

    def require_unchanged(self) -> None:
        """They are those of one version of the table, whose files never change."""


def _identity(files: list[ds.Fragment]) -> str | None:
    paths = "".join(f"{file.path}\n" for file in files)
    return hashlib.sha256(paths.encode()).hexdigest() if files else None


@contextmanager
def _told(where: str, access: Access) -> Iterator[None]:
    """Errors of delta-rs and Arrow as ours."""
    try:
        yield
    except LakeloopError:
        raise
    except (DeltaError, pa.ArrowException, OSError) as error:
        raise _error(error, where, access) from None


def _error(error: Exception, where: str, access: Access) -> LakeloopError:
    said, found = str(error), access.hide(str(error))
    newer = re.search("reader feature|reader version|Feature .* not supported", said)
    if newer or isinstance(error, DeltaProtocolError):
        return ConfigurationError(
            "the table needs a newer reader",
            where=where,
            expected="a table without deletion vectors and column mapping",
            found=found,
            remedy="have its writer purge deletion vectors and drop the feature, or write a copy",
        )
    if isinstance(error, FileNotFoundError) and not isinstance(error, TableNotFoundError):
        return TransientError(
            "a file of this version is gone",
            where=where,
            expected="the files that the log of the table names",
            found=found,
            remedy="nothing was published; was it vacuumed? This runs again, with the newest version unless"
            " source.version names one",
        )
    if isinstance(error, TableNotFoundError) or re.search(r"[Vv]ersion|not a table|no log files", said):
        return ConfigurationError(
            "there is no such table, or no such version of it",
            where=where,
            expected="a folder with a _delta_log in it, and a version that it still has",
            found=found,
            remedy="correct source.table or source.version in the loop file, or its connection",
        )
    if is_address(where):
        return ServiceError(
            "the table cannot be read from its store",
            where=where,
            expected="a store that answers, and credentials that may read the table",
            found=found,
            remedy="is the store up, and are source.connection or the store's variables right?",
        )
    return DataError(
        "the table is damaged",
        where=where,
        expected="a whole Delta table",
        found=found,
        remedy="nothing was published; have its writer repair it",
    )
