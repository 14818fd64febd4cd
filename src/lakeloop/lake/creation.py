"""Creation of a loop's tables, and of columns that tables of before lack: in one commit, whoever comes first.

Writers never create a table: writers that race to create one double its rows. Reading and writing are in
`store`, what tables there are in `tables`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, write_deltalake
from deltalake import Schema as DeltaSchema
from deltalake.exceptions import CommitFailedError, DeltaError

from lakeloop.errors import ConfigurationError
from lakeloop.lake.delta import DeltaStore
from lakeloop.lake.digest import ADDED
from lakeloop.lake.tables import TableSpec, tables_of
from lakeloop.spec.loop import LoopSpec

_STATISTICS = "delta.dataSkippingStatsColumns"
"""Property of a Delta table; without it, its log has the beginnings of the texts of the first 32 columns."""


def create_tables(store: DeltaStore, spec: LoopSpec) -> None:
    """Create what is missing and compare what is there; safe to run in many processes at once.

    Opening a loop creates its tables; until a table has its first row, its columns may still change. A table
    of an earlier version of Lakeloop gets the columns of ours that it lacks; `raw` those that the loop file
    has got since, `staging` and `mart` those beside the text. Columns that are no longer written stay.

    Raises:
        ConfigurationError: a table with rows has other columns than it should; names them.
    """
    for table in tables_of(spec):
        try:
            if _is_as_declared(store, table):
                continue
            existing = store.open(table.name)
        except ConfigurationError:
            _create(store, table)
            existing = store.open(table.name)
        if _given_differ(table, existing) and _never_held_a_row(existing):
            # When another writer was first, the comparison that follows judges what it left.
            with suppress(CommitFailedError):
                create_anew(store, table, existing)
            existing = store.open(table.name)
        existing = _with_all_columns(store, table, existing)
        _require_same_columns(store.uri(table.name), table, existing, spec.name)
        if existing.metadata().configuration.get(_STATISTICS) != ",".join(table.statistics):
            _set_statistics(store, table, existing)


def _is_as_declared(store: DeltaStore, table: TableSpec) -> bool:
    """Whether nothing is to be done about a table that is there: it is then not opened to be changed.

    Raises:
        ConfigurationError: it is not there.
    """
    with store.reading(table.name) as existing:
        statistics = existing.metadata().configuration.get(_STATISTICS)
        return _columns(existing) == _columns(table.schema) and statistics == ",".join(table.statistics)


def require_same_columns(store: DeltaStore, spec: LoopSpec, tables: Collection[str]) -> None:
    """Compare those of `tables` that hold rows; columns that `create_tables` would add are none of it.

    Raises:
        ConfigurationError: a table has other columns than it should; names them.
    """
    for table in tables_of(spec):
        if table.name not in tables:
            continue
        try:
            if _is_as_declared(store, table):
                continue
            existing = store.open(table.name)
        except ConfigurationError:
            continue  # it is created with the declared columns when the loop is opened
        coming = [field.name for field in _columns_that_lack(table, existing)]
        try:
            _require_same_columns(store.uri(table.name), table, existing, spec.name, coming)
        except ConfigurationError:
            if not _never_held_a_row(existing):
                raise


def _create(store: DeltaStore, table: TableSpec) -> None:
    try:
        DeltaTable.create(
            store.uri(table.name),
            table.schema,
            # Not "ignore": two creators at once then commit a second creation on top of the first.
            mode="error",
            partition_by=list(table.partition_by),
            name=table.name,
            configuration={_STATISTICS: ",".join(table.statistics)},
            storage_options=store.storage_options or None,
            commit_properties=CommitProperties(max_commit_retries=0),
        )
    except DeltaError as error:
        _require_created_by_others(store, table, error)
    store.make_durable(table.name, range(1))


def _require_created_by_others(store: DeltaStore, table: TableSpec, error: DeltaError) -> None:
    try:
        store.open(table.name)
    except ConfigurationError:
        raise ConfigurationError(
            f"table {table.name!r} could not be created",
            where=store.uri(table.name),
            found=str(error),
            remedy="look at LAKELOOP_LAKE and LAKELOOP_STORAGE_OPTIONS: can this place be written to",
        ) from error


_TRIES = 20
"""Times that columns are added while others commit: a server appends a batch of answers every second."""

_WITHOUT_ROWS = ("CREATE TABLE", "ADD COLUMN", "SET TBLPROPERTIES")
"""Commits that add no file, and say so by their name only."""


def _never_held_a_row(existing: DeltaTable) -> bool:
    """The whole history is there, and no commit in it added a file."""
    history = existing.history()
    return len(history) == existing.version() + 1 and all(
        commit.get("operation") in _WITHOUT_ROWS
        or commit.get("operationMetrics", {}).get("num_added_files") == 0
        for commit in history
    )


def create_anew(
    store: DeltaStore, table: TableSpec, existing: DeltaTable, metadata: Mapping[str, str] | None = None
) -> None:
    """Empty a table and give it the declared columns, in one commit that keeps `metadata`.

    Raises:
        CommitFailedError: another writer committed since `existing`; nothing was changed.
    """
    write_deltalake(
        existing,
        table.schema.empty_table(),
        mode="overwrite",
        schema_mode="overwrite",
        # No retry: a commit in between may have brought rows that nobody decided on.
        commit_properties=CommitProperties(custom_metadata=dict(metadata or {}), max_commit_retries=0),
    )
    store.make_durable(table.name, range(existing.version(), existing.version() + 1))


def _given_differ(table: TableSpec, existing: DeltaTable) -> bool:
    return bool(table.given) and _columns(table.schema) != _columns(existing)


def _columns_that_lack(table: TableSpec, existing: DeltaTable) -> list[pa.Field]:
    present = _columns(existing)
    return [
        field.with_metadata({ADDED: b"1"})
        for field in table.schema
        if field.name not in present and table.may_come(field.name)
    ]


def _with_all_columns(store: DeltaStore, table: TableSpec, existing: DeltaTable) -> DeltaTable:
    """The table with the columns of ours that it lacks; tries again while others commit in between."""
    for _ in range(_TRIES):
        missing = _columns_that_lack(table, existing)
        if not missing:
            break
        _add_columns(store, table, existing, missing)
        existing = store.open(table.name)
    return existing


def _add_columns(store: DeltaStore, table: TableSpec, existing: DeltaTable, fields: list[pa.Field]) -> None:
    """Add columns as the version right after `existing` or not at all; rows that are there have null."""
    version = existing.version()
    try:
        existing.alter.add_columns(
            DeltaSchema.from_arrow(pa.schema(fields)).fields,
            commit_properties=CommitProperties(max_commit_retries=0),
        )
    except DeltaError:
        return  # another writer was first: with these columns, or with rows
    store.make_durable(table.name, range(version + 1, version + 2))


def _set_statistics(store: DeltaStore, table: TableSpec, existing: DeltaTable) -> None:
    """Have new commits say nothing of other columns; entries that are in the log stay until it is cut."""
    version = existing.version()
    try:
        existing.alter.set_table_properties(
            {_STATISTICS: ",".join(table.statistics)},
            commit_properties=CommitProperties(max_commit_retries=0),
        )
    except DeltaError:
        return  # another writer was first; who opens the loop next sets it, if that one did not
    store.make_durable(table.name, range(version + 1, version + 2))


def _columns(columns: pa.Schema | DeltaTable) -> dict[str, pa.DataType]:
    schema = columns if isinstance(columns, pa.Schema) else pa.schema(columns.schema().to_arrow())
    return {field.name: field.type for field in schema}


def _require_same_columns(
    uri: str, table: TableSpec, existing: DeltaTable, loop: str, coming: Collection[str] = ()
) -> None:
    """Those that are `coming` may lack."""
    wanted = {name: kind for name, kind in _columns(table.schema).items() if name not in coming}
    # Columns of before stay, and are null in new rows.
    present = {
        name: kind for name, kind in _columns(existing).items() if name in wanted or not table.may_go(name)
    }
    if wanted == present:
        return
    differences = [
        *(f"{name}{_key(table, name)}: missing in the table" for name in wanted if name not in present),
        *(f"{name}: only in the table" for name in present if name not in wanted),
        *(
            f"{name}{_key(table, name)}: {present[name]} in the table, {kind} declared"
            for name, kind in wanted.items()
            if name in present and present[name] != kind
        ),
    ]
    raise ConfigurationError(
        f"the columns of table {table.name!r} changed",
        where=uri,
        expected=", ".join(f"{name} {kind}" for name, kind in wanted.items()),
        found="; ".join(differences),
        remedy=(
            f"carry the rows over: lakeloop evolve {loop}; or give the columns their old types again; or"
            if table.name == "raw"
            else "rows of another task cannot be carried over: say in the loop file what it said before; or"
        )
        + f" empty the lake of this loop and run its days again: lakeloop reset {loop} --all",
    )


def _key(table: TableSpec, column: str) -> str:
    """The key of the loop file that decides a column, to be put behind its name."""
    return f" ({table.keys[column]})" if column in table.keys else ""
