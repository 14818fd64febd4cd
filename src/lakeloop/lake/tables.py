"""The tables of a loop: their columns, how they are partitioned, and their creation in one step.

Writers never create a table: writers that race to create one double its rows. Reading and writing are in
`store`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, write_deltalake
from deltalake import Schema as DeltaSchema
from deltalake.exceptions import CommitFailedError, DeltaError

from lakeloop.errors import ConfigurationError
from lakeloop.lake.delta import DeltaStore
from lakeloop.lake.digest import ADDED
from lakeloop.spec.columns import ColumnType
from lakeloop.spec.contract import SourceBase
from lakeloop.spec.loop import LoopSpec

TIMESTAMP = pa.timestamp("us", "UTC")
_STATISTICS = "delta.dataSkippingStatsColumns"
"""Property of a Delta table; without it, its log has the beginnings of the texts of the first 32 columns."""

ARROW_TYPES: Mapping[ColumnType, pa.DataType] = {
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "timestamp": TIMESTAMP,
    "date": pa.date32(),
}

QUARANTINE = pa.schema(
    [
        ("partition", pa.string()),
        ("stage", pa.string()),  # ingest | validate
        ("reason", pa.string()),  # a code, see sources.rejects and quality.rows
        ("detail", pa.string()),  # for a person
        ("column", pa.string()),
        ("source_file", pa.string()),
        ("source_line", pa.int64()),  # from 1
        ("byte_offset", pa.int64()),  # of the line's first byte in the file
        ("raw", pa.string()),  # the whole record, in the form that raw_form says
        ("row_key", pa.string()),
        ("readmitted", pa.bool_()),
        ("raw_form", pa.string()),  # line: as it stands in the file | row: as it was read, built: as it was
        # built, both as JSON | null: an earlier version wrote it, without saying so
    ]
)
PREDICTIONS = pa.schema(
    [
        ("partition", pa.string()),
        ("batch_id", pa.string()),
        ("request_id", pa.string()),
        ("predicted_at", TIMESTAMP),
        ("model_version", pa.string()),
        ("text_sha256", pa.string()),
        ("text", pa.string()),
        ("answer", pa.string()),  # JSON, see the task's answer
        ("latency_ms", pa.float64()),
    ]
)
FEEDBACK = pa.schema(
    [
        ("partition", pa.string()),
        ("batch_id", pa.string()),
        ("request_id", pa.string()),
        ("received_at", TIMESTAMP),
        ("truth", pa.string()),  # JSON, what the answer should have been
        ("source", pa.string()),  # who said so
    ]
)
EVALUATIONS = pa.schema(
    [
        ("partition", pa.string()),
        ("candidate", pa.string()),
        ("model_digest", pa.string()),
        ("row_id", pa.string()),
        ("expected", pa.string()),  # JSON
        ("answer", pa.string()),  # JSON
        ("split", pa.string()),
    ]
)
LEDGER = pa.schema(
    [
        ("entry_id", pa.string()),
        ("stage", pa.string()),
        ("partition", pa.string()),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("fingerprint", pa.string()),
        ("run_id", pa.string()),
        ("try_number", pa.int64()),
        ("finished_at", TIMESTAMP),
        ("read", pa.int64()),
        ("accepted", pa.int64()),
        ("quarantined", pa.int64()),
        ("duplicates", pa.int64()),
        ("record", pa.string()),  # the StageRecord whole, as JSON
    ]
)
CLAIMS = pa.schema(
    [
        ("scope", pa.string()),
        ("partition", pa.string()),
        ("claim_id", pa.string()),
        ("run_id", pa.string()),
        ("try_number", pa.int64()),
        ("claimed_at", TIMESTAMP),
    ]
)
REGISTRY = pa.schema(
    [
        ("sequence", pa.int64()),  # position in the history, from 1
        ("event", pa.string()),  # what happened: a version registered, an alias moved
        ("version", pa.string()),
        ("alias", pa.string()),
        ("previous", pa.string()),  # the version the alias pointed at before
        ("digest", pa.string()),  # of the model artifact
        ("reason", pa.string()),
        ("run_id", pa.string()),
        ("try_number", pa.int64()),
        ("recorded_at", TIMESTAMP),
        ("record", pa.string()),  # everything else, as JSON
    ]
)


@dataclass(frozen=True)
class TableSpec:
    """One table: its columns, those that a replace can select by, those that its log says something of."""

    name: str
    schema: pa.Schema
    statistics: tuple[str, ...]
    """Columns whose smallest and largest value the table's log keeps, for as long as the log lives: never the
    words of people. Columns of `partition_by` need none."""
    partition_by: tuple[str, ...] = ("partition",)
    given: frozenset[str] = frozenset()
    """Columns that the loop file decides. All others are ours: a table that lacks one gets it."""
    grows: bool = False
    """Columns that the loop file decides may come and go too: rows without one have null there."""


UNDECLARED = "undeclared_fields"
"""Column of raw, where a loop keeps them: the fields of a record that its file does not declare, as JSON."""


def given_columns(source: SourceBase) -> list[pa.Field]:
    """The columns of raw that the loop file decides."""
    declared = [pa.field(column.stored, ARROW_TYPES[column.type]) for column in source.fields]
    return [*declared, *([pa.field(UNDECLARED, pa.string())] if source.undeclared == "keep" else [])]


def raw_schema(spec: LoopSpec) -> pa.Schema:
    """The declared columns, typed, under their stored names, then where each row came from."""
    return pa.schema(
        [
            *given_columns(spec.source),
            (
                "row_hash",
                pa.string(),
            ),  # over the declared columns, where they name a row (key_from: content); else null
            ("source_line", pa.int64()),
            ("source_file", pa.string()),
            ("partition", pa.string()),
        ]
    )


def mart_schema(spec: LoopSpec) -> pa.Schema:
    """The key, the columns of the task, then when and where each row came from."""
    roles = [(name, ARROW_TYPES[role.kept_as]) for name, role in spec.task.roles().items()]
    return pa.schema(
        [
            ("row_id", pa.string()),  # the source's key
            *roles,
            ("text_key", pa.string()),  # shared by texts that are alike: it decides the split
            ("event_time", TIMESTAMP),
            ("source_file", pa.string()),
            ("source_line", pa.int64()),
            ("partition", pa.string()),
        ]
    )


FIXED_TABLES = (
    TableSpec("quarantine", QUARANTINE, ("source_line",), ("partition", "stage")),
    TableSpec("predictions", PREDICTIONS, ("batch_id", "predicted_at")),
    TableSpec("feedback", FEEDBACK, ("batch_id", "received_at")),
    TableSpec("evaluations", EVALUATIONS, ("model_digest",), ("partition", "candidate")),
    # By stage only: the entries of a stage can then be compacted into one file.
    TableSpec("ledger", LEDGER, ("entry_id", "partition", "finished_at"), ("stage",)),
    TableSpec("claims", CLAIMS, ("claimed_at",), ("scope", "partition")),
    TableSpec("registry", REGISTRY, ("sequence",), ()),
)

REPLACEABLE = ("raw", "quarantine", "staging", "mart", "evaluations")
"""Tables whose partitions are replaced under a fence; the others are appended to."""


def written_columns(spec: LoopSpec | None) -> dict[str, frozenset[str]]:
    """Table -> the columns that rows are written with, of the tables that may hold others, of rows of before.

    Those whose columns a loop file decides are known by its `spec` only.
    """
    tables = [table for table in tables_of(spec) if table.grows] if spec else []
    return {table.name: frozenset(table.schema.names) for table in (*FIXED_TABLES, *tables)}


def tables_of(spec: LoopSpec) -> tuple[TableSpec, ...]:
    """All tables of a loop: those whose columns its file decides, then `FIXED_TABLES`."""
    mart, roles = mart_schema(spec), frozenset(spec.task.roles())
    return (
        TableSpec(
            "raw",
            raw_schema(spec),
            ("source_line",),
            given=frozenset(column.name for column in given_columns(spec.source)),
            grows=True,
        ),
        TableSpec("staging", mart, ("source_line",), given=roles),
        TableSpec("mart", mart, ("source_line",), given=roles),
        *FIXED_TABLES,
    )


def create_tables(store: DeltaStore, spec: LoopSpec) -> None:
    """Create what is missing and compare what is there; safe to run in many processes at once.

    Opening a loop creates its tables; until a table has its first row, its columns may still change. A table
    of an earlier version of Lakeloop gets the columns of ours that it lacks, and `raw` those that the loop
    file has got since; columns that are no longer written stay.

    Raises:
        ConfigurationError: a table with rows has other columns than it should; names them.
    """
    for table in tables_of(spec):
        try:
            existing = store.open(table.name)
        except ConfigurationError:
            _create(store, table)
            existing = store.open(table.name)
        if _given_differ(table, existing) and _never_held_a_row(existing):
            # When another writer was first, the comparison that follows judges what it left.
            with suppress(CommitFailedError):
                create_anew(store, table, existing)
            existing = store.open(table.name)
        if missing := _columns_that_lack(table, existing):
            _add_columns(store, table, existing, missing)
            existing = store.open(table.name)
        _require_same_columns(store.uri(table.name), table, existing, spec.name)
        if existing.metadata().configuration.get(_STATISTICS) != ",".join(table.statistics):
            _set_statistics(store, table, existing)


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
        if field.name not in present and (table.grows or field.name not in table.given)
    ]


def _add_columns(store: DeltaStore, table: TableSpec, existing: DeltaTable, fields: list[pa.Field]) -> None:
    """Add columns as the version right after `existing` or not at all; rows that are there have null."""
    version = existing.version()
    try:
        existing.alter.add_columns(
            DeltaSchema.from_arrow(pa.schema(fields)).fields,
            commit_properties=CommitProperties(max_commit_retries=0),
        )
    except DeltaError:
        return  # another writer was first: the comparison that follows judges what it left
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


def _require_same_columns(uri: str, table: TableSpec, existing: DeltaTable, loop: str) -> None:
    wanted, present = _columns(table.schema), _columns(existing)
    if table.grows or not table.given:  # columns of before stay, and are null in new rows
        present = {name: kind for name, kind in present.items() if name in wanted}
    if wanted == present:
        return
    differences = [
        *(f"{name}: missing in the table" for name in wanted if name not in present),
        *(f"{name}: only in the table" for name in present if name not in wanted),
        *(
            f"{name}: {present[name]} in the table, {kind} declared"
            for name, kind in wanted.items()
            if name in present and present[name] != kind
        ),
    ]
    raise ConfigurationError(
        f"the columns of table {table.name!r} changed",
        where=uri,
        expected=", ".join(f"{name} {kind}" for name, kind in wanted.items()),
        found="; ".join(differences),
        remedy=(f"carry the rows over: lakeloop evolve {loop}; or " if table.grows else "")
        + "give the columns their old types again; or empty the lake of this loop and run its days again:"
        f" lakeloop reset {loop} --all",
    )
