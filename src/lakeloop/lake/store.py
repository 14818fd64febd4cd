"""`Lake`: the one way in which stages read and publish.

Every publish is fenced (`claims`), replaces whole partitions or appends once, is durable when it returns,
and says what it wrote as a content digest. Readers pin a version.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError

from lakeloop.attempt import Attempt
from lakeloop.errors import ConfigurationError, FenceError
from lakeloop.lake.claims import Claims, Fence, provenance
from lakeloop.lake.conform import Conformer, conform
from lakeloop.lake.creation import create_tables, require_same_columns
from lakeloop.lake.delta import DeltaStore, contended, matching, require_safe
from lakeloop.lake.digest import ContentDigest, content_digest
from lakeloop.lake.draft import Draft, Published
from lakeloop.lake.files import LakeFiles
from lakeloop.lake.ledger import Ledger
from lakeloop.lake.marks import PREFIX, MarkedDigest, digest_of, running_digest
from lakeloop.lake.probe import require_kept
from lakeloop.lake.remote import options_of, remote_of
from lakeloop.lake.reshape import EVOLVE, empty_tables, retype
from lakeloop.lake.row_files import RowFiles
from lakeloop.lake.tables import FROM_SOURCE, written_columns
from lakeloop.locks import locked
from lakeloop.records import StageRecord
from lakeloop.settings import Settings
from lakeloop.spec.loop import LoopSpec

_TURN_SECONDS = 5.0
"""A process that was stopped within its turn holds up others for no longer."""
_MANY_FILES = 32
"""Of a table that is appended to by compare-and-swap."""


class Lake:
    """The tables and folders of one loop, below `<root_uri>/<loop>`: a path, or s3: with its options."""

    def __init__(self, root_uri: str, loop: str, storage_options: Mapping[str, str] | None = None) -> None:
        self.loop = loop
        self._store = DeltaStore(f"{root_uri.rstrip('/')}/{loop}", storage_options)
        self._root = remote_of(root_uri, storage_options)
        self.told = self._store.told
        self._claims = Claims(self._store)
        self._written = written_columns(None)
        self.ledger = Ledger(self._store, self._holds)
        self.files = LakeFiles(f"{self._store.base}/files", storage_options)

    @classmethod
    def from_settings(cls, settings: Settings, loop: LoopSpec) -> Lake:
        """The lake of `loop` at the address that `settings` hold; nothing is opened or created."""
        return cls(settings.lake, loop.name, options_of(settings))

    def bootstrap(self, spec: LoopSpec) -> None:
        """Create all tables of the loop that are missing; cheap when they are there.

        Raises:
            ConfigurationError: a table has other columns; or a store lets nobody in, or several win.
            ServiceError: the store is away.
        """
        require_kept(self._root)
        with self._store.told():
            create_tables(self._store, spec)
        self._written = written_columns(spec)

    def require_same_columns(self, spec: LoopSpec, *tables: str) -> None:
        """Raises ConfigurationError when one of `tables` has rows and other columns than `spec` says.

        Columns that opening the loop adds may lack.
        """
        require_same_columns(self._store, spec, tables)

    def misfit(self, spec: LoopSpec) -> str:
        """Which table has rows and other columns than `spec` says, with what to do; empty when none has."""
        try:
            self.require_same_columns(spec, "raw", "staging", "mart")
        except ConfigurationError as error:
            return str(error)
        return ""

    def empty(self, spec: LoopSpec, attempt: Attempt) -> None:
        """Take all rows out of raw, quarantine, staging and mart, which get the columns of `spec`.

        The columns that they have now may be any: a loop whose columns changed their types opens again.

        Raises:
            FenceError: a stage published at this moment; do it again.
        """
        empty_tables(self._store, spec, {**provenance(attempt), "stage": "reset"})

    def retype(
        self,
        table: str,
        version: int,
        schema: pa.Schema,
        parts: Iterable[Iterable[pa.RecordBatch]],
        attempt: Attempt,
    ) -> int:
        """Replace rows and columns of `table` in one commit, as the one after `version`; returns its version.

        `parts` are the rows, with the columns of `schema`; see `reshape.retype`.

        Raises:
            FenceError: a stage published since; nothing was changed.
        """
        snapshot = self._store.open(table, version)
        metadata = {**provenance(attempt), "stage": EVOLVE}
        return retype(self._store, table, snapshot, schema, parts, metadata).version()

    def retyped_at(self, table: str) -> int | None:
        """The version of `table` that `retype` wrote last; None when its history knows of none."""
        history = self._store.open(table).history()
        return next((int(commit["version"]) for commit in history if commit.get("stage") == EVOLVE), None)

    def columns(self, table: str, *, version: int | None = None) -> pa.Schema:
        """The columns of a version, with what the table keeps about each."""
        with self._store.reading(table, version) as snapshot:
            return _schema(snapshot)

    def claim(self, scope: str, partition: str, attempt: Attempt) -> Fence:
        """Take over the work of a stage (`scope`) on a partition; the newest claim wins.

        Raises:
            FenceError: a later try of the same run holds the claim already.
            ConfigurationError: `scope` or `partition` is not usable as a partition value.
        """
        require_safe({"scope": scope, "partition": partition})
        return self._claims.take(scope, partition, attempt)

    def record(self, record: StageRecord, fence: Fence | None) -> None:
        """Write the end of a stage into the ledger; with a fence only while it holds.

        Raises:
            FenceError: a newer attempt took over; the entry of that attempt will tell what is in the lake.
        """
        self.record_all([record], fence)

    def record_all(self, records: Sequence[StageRecord], fence: Fence | None) -> None:
        """As `record`, for records of one stage, in one commit."""
        self.ledger.record_all(records, functools.partial(self._claims.check, fence) if fence else None)

    def replace(
        self,
        table: str,
        rows: pa.Table | pa.RecordBatchReader,
        *,
        where: Mapping[str, str],
        fence: Fence,
        like: str = "",
    ) -> Published:
        """Replace the rows of `table` that have the values `where` by `rows`; an empty `rows` clears them.

        `rows` has the table's columns in any order; the columns of `where` may be left out. A reader is
        taken batch by batch: memory is that of a row group and of the digest, and an error that the
        reader raises is passed on. `where` names partition columns, among them the fence's partition.
        The digest is made as `like`, a digest of before, was made. Durable when it returns.

        Raises:
            FenceError: a newer attempt claimed this work, or another writer changed the partition since
                the claim; nothing was written.
            DataError: `rows` has other columns, or rows of another partition; nothing was written.
            ValueError: `table` is none of `REPLACEABLE`, or `where` is not as described.
        """
        draft = self._draft(table, where, fence, running_digest(table, like))
        with draft:
            draft.append(pa.RecordBatch.from_pylist([], rows.schema))  # for its columns
            for batch in rows.to_batches() if isinstance(rows, pa.Table) else rows:
                draft.append(batch)
            return draft.publish()

    def draft(self, table: str, *, where: Mapping[str, str], fence: Fence) -> Draft:
        """Rows to replace those that `replace` would, to be written now and published later, or not at all.

        Who publishes them says what their digest is, as `digest_of` would.

        Raises:
            ValueError: `table` is none of `REPLACEABLE`, or `where` is not as described in `replace`.
        """
        return self._draft(table, where, fence, None)

    def _draft(
        self,
        table: str,
        where: Mapping[str, str],
        fence: Fence,
        looking: ContentDigest | MarkedDigest | None,
    ) -> Draft:
        snapshot = self._pinned(table, where, fence)
        retired = self._retired(table, snapshot)
        conformer = Conformer(_schema(snapshot), where, table, retired, looking)
        return Draft(self._store, self._claims, table, snapshot, where, fence, conformer)

    def append_once(self, table: str, rows: pa.Table, *, batch_id: str) -> Published:
        """Append a batch, or do nothing when a batch with this id is there; durable when it returns.

        `rows` has the table's columns (`batch_id` may be left out). A batch is looked for in the
        partitions of its rows, so a batch that is sent again must have the same rows. Ids that begin with
        a time make the look-up cheap.

        Raises:
            DataError: `rows` has other columns, or another batch id.
            ConfigurationError: `batch_id` is not usable as a value in a predicate.
            CommitFailedError: other writers kept the table busy all the time.
        """
        require_safe({"batch_id": batch_id})
        for turn in contended():
            with turn:
                snapshot = self._store.open(table)
                batch = conform(
                    rows, _schema(snapshot), {"batch_id": batch_id}, table, self._retired(table, snapshot)
                )
                version = snapshot.version()
                if batch.num_rows and not self._has_batch(table, snapshot, batch, batch_id):
                    metadata = {"batch_id": batch_id}
                    # As the next version or not at all: the check then still holds at the commit.
                    version = self._store.commit(
                        table, snapshot, batch, replace=None, metadata=metadata, only_next=True
                    )
        return Published(table, version, batch.num_rows, content_digest(batch), self.uri(table))

    def append_at(self, table: str, rows: pa.Table, *, version: int, attempt: Attempt) -> Published:
        """Append `rows` only if `version` is still the table's newest: a compare-and-swap.

        Each append is a file, and each file costs a reader a millisecond: when they are many, the commit has
        all rows in one.

        Raises:
            FenceError: the table has moved on since; nothing was written. Read it again, then decide.
            DataError: `rows` has other columns than the table.
        """
        snapshot = self._store.open(table, version)
        rows = conform(rows, _schema(snapshot), {}, table, self._retired(table, snapshot))
        many = len(snapshot.file_uris()) >= _MANY_FILES
        try:
            written = self._store.commit(
                table,
                snapshot,
                pa.concat_tables([self._store.files_of(table, snapshot, {}).to_table(), rows])
                if many
                else rows,
                replace={} if many else None,
                metadata=provenance(attempt),
                only_next=True,
            )
        except CommitFailedError as error:
            raise FenceError(
                f"{table!r} has moved on",
                where=self.uri(table),
                expected=f"version {version}",
                found=f"version {self.version(table)}",
                remedy="nothing was written; read the table again and decide anew",
            ) from error
        return Published(table, written, rows.num_rows, content_digest(rows), self.uri(table))

    def read(
        self,
        table: str,
        *,
        version: int | None = None,
        columns: Sequence[str] | None = None,
        **equals: str,
    ) -> pa.Table:
        """The rows of a version (default: the newest) where the columns of `equals` have these values."""
        return self.scan(table, version=version, columns=columns, since=None, **equals).read_all()

    @contextmanager
    def turn(self, table: str) -> Iterator[None]:
        """A turn at reading a table and appending what follows: processes of this machine wait for another.

        It keeps nobody out for ever, and nobody on another machine: that only one of two wins is the promise
        of `append_at`. Without turns, of many at once most read in vain.
        """
        if self._store.local is None:
            yield
            return
        self._store.local.mkdir(parents=True, exist_ok=True)
        with locked(self._store.local / f".{table}.lock", wait=_TURN_SECONDS):
            yield

    def read_newest(self, table: str) -> tuple[pa.Table, int]:
        """All rows of the newest version, for a small table, and which version that is."""
        with self._store.reading(table) as snapshot:
            return self._store.files_of(table, snapshot, {}).to_table(), snapshot.version()

    def scan(
        self,
        table: str,
        *,
        version: int | None = None,
        columns: Sequence[str] | None = None,
        since: Mapping[str, datetime] | None = None,
        **equals: str,
    ) -> pa.RecordBatchReader:
        """The rows of `read` as a stream of record batches, for tables that do not fit in memory.

        `since` is column -> moment from which on rows are wanted: what has only earlier ones is not read.
        """
        return self._store.stream(table, version, equals, columns, since)

    def dataset(self, table: str, *, version: int | None = None, **equals: str) -> ds.Dataset:
        """The files that may hold the rows of `read`, as an Arrow dataset: other rows are in them too."""
        return self._store.dataset(table, version, equals)

    def row_files(self, table: str, *, version: int | None = None, **equals: str) -> RowFiles | None:
        """The files that hold the rows of `read` and no others; None where only `scan` reads these."""
        return self._store.row_files(table, version, equals)

    def rows_by_partition(self, table: str) -> dict[str, int]:
        """Partition -> rows, in the newest version; empty for a table that is not there."""
        try:
            partitions = self.scan(table, columns=["partition"])
        except ConfigurationError:
            return {}
        counts: Counter[str] = Counter()
        for batch in partitions:
            for one in pc.value_counts(batch["partition"]).to_pylist():
                counts[one["values"]] += one["counts"]
        return dict(sorted(counts.items()))

    def version(self, table: str) -> int:
        """The newest version; pin it to read the same rows again."""
        return self._store.version(table)

    def uri(self, table: str) -> str:
        return self._store.uri(table)

    def digest(self, table: str, *, version: int | None = None, like: str = "", **equals: str) -> str:
        """Digest of the rows as they are read, streamed; equals `Published.digest` of the commit.

        `like` is a digest of before, for one that can be compared with it; default: as it is written now.
        """
        return digest_of(table, self._store.stream(table, version, equals), like)

    def same_rows(self, table: str, one: int, other: int, **equals: str) -> bool:
        """Whether two versions hold the same files of these rows, and so the same rows, without reading them.

        False says nothing: files are also written anew by upkeep, and old versions are forgotten.
        """
        return one == other or self._store.same_files(table, one, other, equals)

    def _retired(self, table: str, snapshot: DeltaTable) -> frozenset[str]:
        """Columns of the table that only rows of before have, or those that a later version writes."""
        present = frozenset(_schema(snapshot).names)
        return present - self._written[table] if table in self._written else frozenset()

    def _pinned(self, table: str, where: Mapping[str, str], fence: Fence) -> DeltaTable:
        if table not in fence.pinned:
            raise ValueError(f"table {table!r} is not one that is replaced: {', '.join(fence.pinned)}")
        snapshot = self._store.open(table, fence.pinned[table])
        allowed = snapshot.metadata().partition_columns
        if not set(where) <= set(allowed) or where.get("partition") != fence.partition:
            raise ValueError(
                f"where={dict(where)}: expected partition={fence.partition!r} and columns of {allowed}"
            )
        return snapshot

    def _has_batch(self, table: str, snapshot: DeltaTable, batch: pa.Table, batch_id: str) -> bool:
        partitions = pc.unique(batch["partition"]).to_pylist()
        for partition in partitions:
            equals = {"partition": partition, "batch_id": batch_id}
            dataset = self._store.files_of(table, snapshot, equals)
            if dataset.count_rows(filter=matching(equals)):
                return True
        return False

    def _holds(self, record: StageRecord) -> bool:
        """True when each table that `record.outputs` names with a digest still has that content.

        Looked at are raw, labels, quarantine, staging and mart: `outputs["raw"] = Published.digest`.
        """
        for table in ("raw", "labels", "quarantine", "staging", "mart"):
            digest = record.outputs.get(table, "").removeprefix("sha256:")
            if len(digest.removeprefix(PREFIX)) != 64:
                continue
            equals = {"partition": record.partition}
            if table == "quarantine":
                equals["stage"] = record.stage
            if table == "labels":
                equals["origin"] = FROM_SOURCE
            if digest_of(table, self._store.stream(table, None, equals), like=digest) != digest:
                return False
        return True


def _schema(snapshot: DeltaTable) -> pa.Schema:
    return pa.schema(snapshot.schema().to_arrow())
