"""Delta tables by name: where they are, opening, reading a pinned version, one durable commit.

All use of delta-rs is here, in `tables` (creation) and in `upkeep`. What a commit means (fence, batch, ledger
entry) is decided by the callers. delta-rs does not fsync; the commits here do, on local disks, before they
return. Rows in any number go through `write` and `commit_files`, small ones through `commit`.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from functools import reduce
from operator import and_
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import CommitProperties, DeltaTable, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, RemoveAction
from pyarrow.fs import FileSystem, LocalFileSystem, SubTreeFileSystem
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from lakeloop.durable import fsync_directory, fsync_file
from lakeloop.errors import ConfigurationError
from lakeloop.lake.newest import Newest
from lakeloop.lake.parquet import DataFile, FilesWriter, write_files
from lakeloop.lake.remote import local_path, remote_of
from lakeloop.lake.row_files import RowFiles

RETRY_SECONDS = 60.0
"""How long a commit waits for its turn among other writers of the same table."""
_BATCH_ROWS = 16_384
_BUFFER_BYTES = 1 << 20
_SAFE_VALUE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+#=@-]{0,255}")


class PartitionChangedError(Exception):
    """The rows that were to be replaced are no longer those of the snapshot."""


def contended() -> Retrying:
    """Attempts at a commit, made again while other writers win; CommitFailedError after `RETRY_SECONDS`."""
    return Retrying(
        retry=retry_if_exception_type(CommitFailedError),
        wait=wait_random_exponential(multiplier=0.02, max=1.0),
        stop=stop_after_delay(RETRY_SECONDS),
        reraise=True,
    )


class DeltaStore:
    """The tables below one folder or URI.

    Safe to share between threads and cheap to make. Every call without a version sees the newest one.
    """

    def __init__(self, base: str, storage_options: Mapping[str, str] | None = None) -> None:
        self.local = local_path(base)
        self.base = str(self.local) if self.local else base.rstrip("/")
        self.remote = remote_of(self.base, storage_options)
        self.storage_options = self.remote.of_tables if self.remote else {}
        self._newest = Newest(self.local, self.open)

    def uri(self, table: str) -> str:
        return f"{self.base}/{table}"

    def open(self, table: str, version: int | None = None) -> DeltaTable:
        """`table` at `version` (default: the newest), as a snapshot that commits of others do not change.

        Raises:
            ConfigurationError: the table is not there, or the object store lets nobody in.
            ServiceError: the object store is away.
        """
        try:
            with self.told():
                return DeltaTable(
                    self.uri(table), version=version, storage_options=self.storage_options or None
                )
        except TableNotFoundError as error:
            raise ConfigurationError(
                f"the lake has no table {table!r}",
                where=self.uri(table),
                remedy="create the loop's tables: Lake.bootstrap(spec); StageContext.open does it",
            ) from error

    @contextmanager
    def reading(self, table: str, version: int | None = None) -> Iterator[DeltaTable]:
        """`table` at `version` (default: the newest), to be looked at in the block and never committed to.

        The newest is read from where the last look at it ended: opening a table reads all of its log, which
        takes longer for each day that it has.

        Raises:
            ConfigurationError: the table is not there.
        """
        with self._newest.of(table) as newest:
            yield newest if version in (None, newest.version()) else self.open(table, version)

    def version(self, table: str) -> int:
        """The newest version."""
        with self.reading(table) as newest:
            return newest.version()

    def dataset(self, table: str, version: int | None, equals: Mapping[str, str]) -> ds.Dataset:
        """The rows of a version as an Arrow dataset; files are left out that hold no row with `equals`."""
        with self.reading(table, version) as snapshot:
            return self.files_of(table, snapshot, equals)

    def files_of(self, table: str, snapshot: DeltaTable, equals: Mapping[str, str]) -> ds.Dataset:
        """The rows of `snapshot`, a version of `table`, as `dataset` gives them.

        They are read by Arrow itself: through delta-rs's Python file system, 1 process in 3 to 25 that had
        read a table was aborted when it ended, by one of Arrow's threads.
        """
        return snapshot.to_pyarrow_dataset(
            filesystem=self.files(table), file_pruning_predicate=pruning(equals)
        )

    def row_files(self, table: str, version: int | None, equals: Mapping[str, str]) -> RowFiles | None:
        """The files with the rows where `equals` holds; None where a reader of files would not read the same.

        That is: `equals` does not name all partition columns, there are no rows, they are not on a local
        disk, or a column was added or changed since a file was written.
        """
        with self.reading(table, version) as snapshot:
            if self.local is None or set(equals) != set(snapshot.metadata().partition_columns):
                return None
            columns = pa.schema(snapshot.schema().to_arrow())
            files = list(self.files_of(table, snapshot, equals).get_fragments())
        written = {field.name: field.type for field in columns if field.name not in equals}
        found = [{field.name: field.type for field in file.physical_schema} for file in files]
        if not files or any(one != written for one in found):
            return None
        paths = tuple(str(self.local / table / file.path) for file in files)
        return RowFiles(paths, tuple(columns.names), dict(equals))

    def same_files(self, table: str, one: int, other: int, equals: Mapping[str, str]) -> bool:
        """Whether two versions have the same files of these rows; False when one of them is not known now."""
        try:
            paths = [self.paths(table, version, equals) for version in (one, other)]
        except DeltaError:
            return False
        return paths[0] == paths[1]

    def paths(self, table: str, version: int | None, equals: Mapping[str, str]) -> set[str]:
        """Where the files are that may hold rows of a version with `equals`, columns of partitions."""
        with self.reading(table, version) as snapshot:
            return _paths(snapshot, equals)

    def stream(
        self,
        table: str,
        version: int | None,
        equals: Mapping[str, str],
        columns: Sequence[str] | None = None,
        since: Mapping[str, datetime] | None = None,
    ) -> pa.RecordBatchReader:
        """A reader of the rows where the columns of `equals` have these values; it holds a few batches.

        Of the columns of `since` rows have no earlier moments.
        """
        # Arrow's defaults read ahead whole files: 1.2 GB for 3 million rows of 400 bytes, this 0.25 GB.
        parquet = ds.ParquetFragmentScanOptions(
            pre_buffer=False, use_buffered_stream=True, buffer_size=_BUFFER_BYTES
        )
        scanner = self.dataset(table, version, equals).scanner(
            columns=list(columns) if columns is not None else None,
            filter=matching(equals, since),
            batch_size=_BATCH_ROWS,
            batch_readahead=2,
            fragment_readahead=1,
            fragment_scan_options=parquet,
        )
        return scanner.to_reader()

    def commit(
        self,
        table: str,
        snapshot: DeltaTable,
        rows: pa.Table,
        *,
        replace: Mapping[str, str] | None,
        metadata: Mapping[str, str],
        only_next: bool = False,
    ) -> int:
        """Write `rows` in one commit on top of `snapshot`, make it durable and return its version.

        Args:
            table: name of the table.
            snapshot: the version that the caller decided on; moves on to the one written.
            rows: with the table's columns and types.
            replace: replace the rows where these columns have these values, all rows where it is empty; None
                appends.
            metadata: kept with the commit in the table's history.
            only_next: succeed only as the version right after `snapshot` (compare-and-swap of the table).
                Otherwise commits of others are tolerated unless they touched the same partition.

        Raises:
            CommitFailedError: another writer committed in between; nothing was written.
        """
        before = snapshot.version()
        compression = WriterProperties(compression="ZSTD", compression_level=3)
        commit = CommitProperties(custom_metadata=dict(metadata), max_commit_retries=0 if only_next else None)
        if replace is None:
            write_deltalake(
                snapshot, rows, mode="append", writer_properties=compression, commit_properties=commit
            )
        else:
            write_deltalake(
                snapshot,
                rows,
                mode="overwrite",
                predicate=predicate(replace) or None,
                writer_properties=compression,
                commit_properties=commit,
            )
        version = snapshot.version()
        self.make_durable(table, range(before + 1, version + 1))
        return version

    def write(self, table: str, snapshot: DeltaTable, batches: Iterable[pa.RecordBatch]) -> list[DataFile]:
        """Write rows to files that no version holds yet; see `commit_files`.

        Args:
            table: name of the table.
            snapshot: a version of the table, which names its partition columns.
            batches: with the table's columns and types; taken one by one.

        Returns:
            The files, which `commit_files` takes; none for no row.

        Raises:
            DataError: a partition column has no value.
        """
        return write_files(self.files(table), batches, snapshot.metadata().partition_columns)

    def writer(self, table: str, snapshot: DeltaTable, same: Mapping[str, str]) -> FilesWriter:
        """As `write`, for rows that come one batch after the other; `same` is of partition columns."""
        return FilesWriter(self.files(table), snapshot.metadata().partition_columns, same)

    def commit_files(
        self,
        table: str,
        snapshot: DeltaTable,
        files: Sequence[DataFile],
        *,
        replace: Mapping[str, str],
        metadata: Mapping[str, str],
    ) -> int:
        """Replace the rows where `replace` holds by those of `files` in one commit; durable when it returns.

        Commits of others are tolerated as long as the replaced files are those of `snapshot`.

        Args:
            table: name of the table.
            snapshot: the version that the caller decided on.
            files: as `write` gave them, at least one.
            replace: partition columns and their values.
            metadata: kept with the commit in the table's history.

        Returns:
            The version that was written.

        Raises:
            PartitionChangedError: another writer changed these rows; nothing was committed.
            CommitFailedError: others kept committing to the table all the time; nothing was committed.
        """
        predicate(replace)  # for its refusal of unsafe values
        additions = adding(files)
        # As the next version or not at all: what is looked at before the commit then still holds at it.
        properties = CommitProperties(custom_metadata=dict(metadata), max_commit_retries=0)
        for turn in contended():
            with turn:
                newest = snapshot if self.version(table) == snapshot.version() else self.open(table)
                if _paths(newest, replace) != _paths(snapshot, replace):
                    raise PartitionChangedError(f"version {newest.version()} holds other files of it")
                if newest.schema() != snapshot.schema():
                    raise PartitionChangedError(f"version {newest.version()} has other columns")
                newest.create_write_transaction(
                    additions,
                    mode="overwrite",
                    schema=newest.schema(),
                    partition_by=list(newest.metadata().partition_columns),
                    partition_filters=pruning(replace),
                    commit_properties=properties,
                )
        version = newest.version() + 1
        self.make_durable(table, range(snapshot.version() + 1, version + 1))
        return version

    def files(self, table: str) -> FileSystem:
        """The folder of `table` as a file system of Arrow's own."""
        if self.remote:
            return self.remote.files(table)
        return SubTreeFileSystem(f"{self.base}/{table}", LocalFileSystem())

    def told(self) -> AbstractContextManager[None]:
        """Errors of an object store, raised in the block, as ours; see `Remote.told`."""
        return self.remote.told() if self.remote else nullcontext()

    def make_durable(self, table: str, versions: range) -> None:
        """On a local disk, sync the last of `versions` with its data, and the log entries of all of them."""
        if self.local:
            _sync(self.local / table, versions)
            fsync_directory(self.local)


def require_safe(values: Mapping[str, str]) -> None:
    """Refuse values that could leave their quotes in a predicate, or their folder in a path.

    Raises:
        ConfigurationError: names the first such column and value.
    """
    for column, value in values.items():
        if not _SAFE_VALUE.fullmatch(value) or ".." in value:
            raise ConfigurationError(
                "not usable as a partition value",
                where=column,
                expected="letters, digits and . _ : + # = @ -, not starting with one of these",
                found=repr(value),
            )


def predicate(equals: Mapping[str, str]) -> str:
    """`equals` as an SQL condition for delta-rs; raises as `require_safe` does."""
    require_safe(equals)
    return " AND ".join(f"{column} = '{value}'" for column, value in equals.items())


def pruning(equals: Mapping[str, str]) -> list[tuple[str, str, str]] | None:
    """`equals` as delta-rs's filter on files; None when it is empty."""
    return [(column, "=", value) for column, value in equals.items()] or None


def matching(equals: Mapping[str, str], since: Mapping[str, datetime] | None = None) -> ds.Expression | None:
    """`equals` as Arrow's filter on rows, needed besides `pruning`, which leaves out files; None for none.

    `since` is column -> the earliest moment.
    """
    terms: list[ds.Expression] = [ds.field(column) == value for column, value in equals.items()]
    terms += [
        ds.field(column) >= pa.scalar(moment, pa.timestamp("us", "UTC"))
        for column, moment in (since or {}).items()
    ]
    return reduce(and_, terms) if terms else None


def _paths(snapshot: DeltaTable, equals: Mapping[str, str]) -> set[str]:
    return set(snapshot.file_uris(file_pruning_predicate=pruning(equals)))


def adding(files: Iterable[DataFile]) -> list[AddAction | RemoveAction]:
    """The actions of a commit by which a table gets `files`."""
    return [_addition(file) for file in files]


def _addition(file: DataFile) -> AddAction:
    return AddAction(
        path=file.path,
        size=file.size,
        partition_values=dict(file.partition),
        modification_time=round(time.time() * 1000),
        data_change=True,
        stats=json.dumps({"numRecords": file.rows}),
    )


def _sync(table: Path, versions: range) -> None:
    """Files before the directories that name them.

    Log entries of others between ours are synced too: after a power cut a hole in the log would hide ours.
    """
    log = table / "_delta_log"
    folders = {table}
    # Bytes part at line ends only; as text, U+2028 in a statistic of somebody's words would part an action.
    for action in (log / f"{versions[-1]:020d}.json").read_bytes().splitlines():
        added = json.loads(action).get("add")
        if added:
            file = table / unquote(added["path"])
            fsync_file(file)
            folders.update(folder for folder in file.parents if folder.is_relative_to(table))
    for version in versions:
        for entry in log.glob(f"{version:020d}.*"):
            fsync_file(entry)
    if (checkpoint := log / "_last_checkpoint").exists():
        fsync_file(checkpoint)
    for folder in (*sorted(folders, reverse=True), log):
        fsync_directory(folder)
