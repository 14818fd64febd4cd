"""Delta tables by name: where they are, opening, reading a pinned version, one durable commit.

All use of delta-rs is here and in `tables` (creation). What a commit means (fence, batch, ledger entry) is
decided by the callers. delta-rs does not fsync; `DeltaStore.commit` does, on local disks, before it returns.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import and_
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import CommitProperties, DeltaTable, WriterProperties, write_deltalake
from deltalake.exceptions import TableNotFoundError
from fsspec.core import url_to_fs
from fsspec.utils import get_protocol
from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

from lakeloop.durable import fsync_directory, fsync_file
from lakeloop.errors import ConfigurationError

_SAFE_VALUE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+#=@-]{0,255}")


class DeltaStore:
    """The tables below one folder or URI.

    Stateless: safe to share between threads and cheap to make. A table is opened anew for each call, so
    every call without a version sees the newest one.
    """

    def __init__(self, base: str, storage_options: Mapping[str, str] | None = None) -> None:
        self.local = local_path(base)
        self.base = str(self.local) if self.local else base.rstrip("/")
        self.storage_options = dict(storage_options or {})

    def uri(self, table: str) -> str:
        return f"{self.base}/{table}"

    def open(self, table: str, version: int | None = None) -> DeltaTable:
        """A snapshot: later commits of others do not change it.

        Raises:
            ConfigurationError: the table is not there.
        """
        try:
            return DeltaTable(self.uri(table), version=version, storage_options=self.storage_options or None)
        except TableNotFoundError as error:
            raise ConfigurationError(
                f"the lake has no table {table!r}",
                where=self.uri(table),
                remedy="create the loop's tables: Lake.bootstrap(spec); StageContext.open does it",
            ) from error

    def dataset(self, table: str, version: int | None, equals: Mapping[str, str]) -> ds.Dataset:
        """The rows of a version as an Arrow dataset; with `equals`, of those files only that may match."""
        return self.files_of(table, self.open(table, version), equals)

    def files_of(self, table: str, snapshot: DeltaTable, equals: Mapping[str, str]) -> ds.Dataset:
        """The same for a snapshot of `table`.

        A local disk is read by Arrow itself: through delta-rs's Python file system, 1 process in 3 to 25
        that had read a table was aborted when it ended, by one of Arrow's threads.
        """
        filesystem = SubTreeFileSystem(str(self.local / table), LocalFileSystem()) if self.local else None
        return snapshot.to_pyarrow_dataset(filesystem=filesystem, file_pruning_predicate=pruning(equals))

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
            replace: replace the rows where these columns have these values; None appends.
            metadata: kept with the commit in the table's history.
            only_next: succeed only as the version right after `snapshot` (compare-and-swap of the table).
                Otherwise commits of others are tolerated unless they touched the same partition.

        Raises:
            CommitFailedError: somebody committed in between; nothing was written.
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
                predicate=predicate(replace),
                writer_properties=compression,
                commit_properties=commit,
            )
        version = snapshot.version()
        self.make_durable(table, range(before + 1, version + 1))
        return version

    def make_durable(self, table: str, versions: range) -> None:
        """On a local disk, sync the last of `versions` with its data, and the log entries of all of them."""
        if self.local:
            _sync(self.local / table, versions)
            fsync_directory(self.local)


def local_path(uri: str) -> Path | None:
    """The path when `uri` is on a local file system (a plain path or file:), else None."""
    if get_protocol(uri) not in ("file", "local"):
        return None
    _, path = url_to_fs(uri)
    return Path(path)


def require_safe(values: Mapping[str, str]) -> None:
    """Refuse values that could leave their quotes in a predicate, or their folder in a path."""
    for column, value in values.items():
        if not _SAFE_VALUE.fullmatch(value) or ".." in value:
            raise ConfigurationError(
                "not usable as a partition value",
                where=column,
                expected="letters, digits and . _ : + # = @ -, not starting with one of these",
                found=repr(value),
            )


def predicate(equals: Mapping[str, str]) -> str:
    """SQL for delta-rs."""
    require_safe(equals)
    return " AND ".join(f"{column} = '{value}'" for column, value in equals.items())


def pruning(equals: Mapping[str, str]) -> list[tuple[str, str, str]] | None:
    return [(column, "=", value) for column, value in equals.items()] or None


def matching(equals: Mapping[str, str]) -> ds.Expression | None:
    """The same as an Arrow filter; needed besides pruning, which drops files and not rows."""
    terms: Sequence[ds.Expression] = [ds.field(column) == value for column, value in equals.items()]
    return reduce(and_, terms) if terms else None


def _sync(table: Path, versions: range) -> None:
    """Files before the directories that name them.

    Log entries of others between ours are synced too: after a power cut a hole in the log would hide ours.
    """
    log = table / "_delta_log"
    folders = {table}
    for action in (log / f"{versions[-1]:020d}.json").read_text().splitlines():
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
