"""Tables that change as a whole although they hold rows: emptied, or rewritten with columns of other types.

Each change is one commit, as the version right after the one that was looked at or not at all: a stage that
publishes at the same moment is never undone, and finds its own commit refused when it comes second.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable
from deltalake import Schema as DeltaSchema
from deltalake.exceptions import CommitFailedError

from lakeloop.errors import ConfigurationError, FenceError
from lakeloop.lake.creation import create_anew
from lakeloop.lake.delta import DeltaStore, adding
from lakeloop.lake.tables import tables_of
from lakeloop.spec.loop import LoopSpec

CLEARED = ("mart", "staging", "raw", "quarantine")
"""Tables whose rows are made from deliveries, the ones that are read last first."""
EVOLVE = "evolve"
"""By this name the history of a table knows commits that changed the types of its columns."""


def empty_tables(store: DeltaStore, spec: LoopSpec, metadata: Mapping[str, str]) -> None:
    """Take all rows out of the tables `CLEARED` and give them the columns of `spec`.

    Raises:
        FenceError: another writer committed in between; that table and those after it are as they were.
    """
    tables = {table.name: table for table in tables_of(spec)}
    for name in CLEARED:
        try:
            existing = store.open(name)
        except ConfigurationError:
            continue  # it is created with the declared columns when the loop is opened
        try:
            create_anew(store, tables[name], existing, metadata)
        except CommitFailedError as error:
            raise _overtaken(store, name, error) from error


def retype(
    store: DeltaStore,
    table: str,
    snapshot: DeltaTable,
    schema: pa.Schema,
    parts: Iterable[Iterable[pa.RecordBatch]],
    metadata: Mapping[str, str],
) -> DeltaTable:
    """Replace all rows and the columns of `table`; durable when it returns.

    Args:
        store: of the table.
        table: name of it.
        snapshot: the version that `parts` were made from.
        schema: the columns from now on.
        parts: the rows, with the columns of `schema`; memory is a row group for each partition in a part.
        metadata: kept with the commit in the table's history.

    Returns:
        The table at the version that was written.

    Raises:
        FenceError: another writer committed since `snapshot`; nothing was changed.
    """
    files = [file for part in parts for file in store.write(table, snapshot, part)]
    version = snapshot.version() + 1
    try:
        snapshot.create_write_transaction(
            adding(files),
            mode="overwrite",
            schema=DeltaSchema.from_arrow(schema),
            partition_by=list(snapshot.metadata().partition_columns),
            commit_properties=CommitProperties(custom_metadata=dict(metadata), max_commit_retries=0),
        )
    except CommitFailedError as error:
        raise _overtaken(store, table, error) from error
    store.make_durable(table, range(version, version + 1))
    return store.open(table, version)


def _overtaken(store: DeltaStore, table: str, error: Exception) -> FenceError:
    return FenceError(
        f"a stage published to {table!r} at this moment",
        where=store.uri(table),
        found=str(error).splitlines()[0],
        remedy="the table was left as it is; do it again when no run is at work on the loop",
    )
