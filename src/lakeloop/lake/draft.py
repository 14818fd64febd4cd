"""Rows that are written beside a table before it is known whether they are published: all of them, or none.

No reader sees them until a commit names their files. They are deleted when they are not published; those of
a process that was killed are deleted by upkeep, as no version names them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError

from lakeloop.errors import CountsError, FenceError
from lakeloop.lake.claims import Claims, Fence, provenance
from lakeloop.lake.conform import Conformer
from lakeloop.lake.delta import DeltaStore, PartitionChangedError
from lakeloop.lake.parquet import DataFile


@dataclass(frozen=True)
class Published:
    """What one commit wrote."""

    table: str
    version: int
    """Version of the table that holds it; readers can pin it."""
    rows: int
    digest: str
    """Content digest of these rows: equal rows, equal digest."""
    uri: str


class Draft:
    """Rows that are to replace those of `table` that have the values `where`.

    To be closed (`with`). Memory is that of a row group and of the digest.

    Args:
        store: of the table.
        claims: says whether the fence still holds.
        table: name of it.
        snapshot: the version that is replaced.
        where: partition columns and their values.
        fence: of the attempt.
        conformer: gives rows the columns of the table.
    """

    def __init__(
        self,
        store: DeltaStore,
        claims: Claims,
        table: str,
        snapshot: DeltaTable,
        where: Mapping[str, str],
        fence: Fence,
        conformer: Conformer,
    ) -> None:
        self.rows = 0
        """Rows that were appended."""
        self._store = store
        self._claims = claims
        self._table = table
        self._snapshot = snapshot
        self._where = where
        self._fence = fence
        self._conformer = conformer
        self._files = store.writer(table, snapshot, where)
        self._offered = False
        """A commit may name the files: from then on they are not ours to delete."""

    def append(self, batch: pa.RecordBatch) -> None:
        """Write some rows, with the table's columns in any order; those of `where` may be left out.

        Raises:
            DataError: `batch` has other columns, or rows of another partition.
        """
        self._files.write(self._conformer.conformed(batch))
        self.rows += batch.num_rows

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows that were appended, in their order, without the columns of `where`."""
        yield from self._files.batches()

    def publish(self, digest: str = "") -> Published:
        """Replace the rows of the table by these in one commit, or clear them; durable when this returns.

        `digest` is what `marks.digest_of` says of the rows; default: that of the conformer.

        Raises:
            FenceError: a newer attempt claimed this work, or another writer changed the partition since
                the claim; nothing was published.
            CountsError: the files have other rows than were appended; nothing was published.
        """
        files = self._closed()
        self._claims.check(self._fence)
        self._offered = True
        try:
            version = self._commit(files)
        except (CommitFailedError, PartitionChangedError) as error:
            raise FenceError(
                f"somebody else changed {self._table!r} since this attempt began",
                where=self._fence.where,
                expected=f"version {self._snapshot.version()} of the rows where {dict(self._where)}",
                found=str(error).splitlines()[0],
                remedy="nothing was written; a new attempt starts from the newest version",
            ) from error
        found = digest or self._conformer.digest()
        return Published(self._table, version, self.rows, found, self._store.uri(self._table))

    def _closed(self) -> list[DataFile]:
        """The files, when all rows are in them."""
        files = self._files.close()
        found = sum(file.rows for file in files)
        if found != self.rows or (damaged := self._files.damaged()):
            raise CountsError(
                "rows that were written are not all there any more",
                where=self._store.uri(self._table),
                expected=f"{self.rows} rows in whole files",
                found=f"{found} rows" if found != self.rows else f"not whole: {', '.join(damaged)}",
                remedy="nothing was published; is the disk in order? Run it again",
            )
        return files

    def _commit(self, files: list[DataFile]) -> int:
        fence = self._fence
        metadata = {**provenance(fence.attempt), "stage": fence.scope, "partition": fence.partition}
        if files:
            version = self._store.commit_files(
                self._table, self._snapshot, files, replace=self._where, metadata=metadata
            )
        else:
            nothing = self._conformer.schema.empty_table()
            version = self._store.commit(
                self._table, self._snapshot, nothing, replace=self._where, metadata=metadata
            )
        fence.pinned[self._table] = version
        return version

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._offered:
            self._files.abandon()
