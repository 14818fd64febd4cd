"""The tables of a loop: their columns, and how they are partitioned. Their creation is `creation`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import pyarrow as pa

from lakeloop.spec.columns import ColumnType
from lakeloop.spec.contract import SourceBase
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.tasks.base import COMING_AND_GOING, LANGUAGE

TIMESTAMP = pa.timestamp("us", "UTC")

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
        ("stage", pa.string()),  # ingest | labels | validate
        ("reason", pa.string()),  # a code, see sources.rejects and quality.rows
        ("detail", pa.string()),  # for a person
        ("column", pa.string()),
        ("source_file", pa.string()),
        ("source_line", pa.int64()),  # from 1
        ("byte_offset", pa.int64()),  # of the line's first byte in the file
        ("raw", pa.string()),  # the whole record, in the form that raw_form says
        ("row_key", pa.string()),
        ("readmitted", pa.bool_()),  # it is what a correction made of the record, and refused all the same
        ("raw_form", pa.string()),  # line: as it stands in the file | row: as it was read, built: as it was
        # built, both as JSON | null: an earlier version wrote it, without saying so
    ]
)
LABELS = pa.schema(
    [
        ("partition", pa.string()),  # of the delivery, whatever day its rows are of
        ("origin", pa.string()),  # who gave them: source
        ("row_key", pa.string()),  # as the mart's row_id
        ("answer", pa.string()),  # in words; empty: none of the labels, where a task may have that; null: it
        # says nothing
        ("labelled_at", TIMESTAMP),  # null where the source does not say
        ("source_file", pa.string()),
        ("source_line", pa.int64()),  # from 1
    ]
)
"""Answers that came apart from their rows, all that were given; which one counts says `transform.labels`."""
FROM_SOURCE = "source"
"""Origin of answers that section `labels` of the loop file brought."""
CORRECTIONS = pa.schema(
    [
        ("sequence", pa.int64()),  # from 1; of several of one record the last one counts
        ("partition", pa.string()),
        ("source_file", pa.string()),
        ("source_line", pa.int64()),
        ("stage", pa.string()),  # ingest | validate: which had refused the record
        ("drop", pa.string()),  # identity of the delivery that it was read from
        (
            "before",
            pa.string(),
        ),  # the record: ingest, as in quarantine; validate, JSON as it was read
        ("record", pa.string()),  # what is read in its place, JSON by declared field; null: it is discarded
        ("why", pa.string()),
        ("corrected_by", pa.string()),
        ("corrected_at", TIMESTAMP),
        ("digest", pa.string()),  # of place, before, record and taken_back
        ("taken_back", pa.bool_()),  # the record is read as it was delivered again; null: no
    ]
)
"""Records of deliveries that people mended: nothing is ever taken out."""
SMOKE = "smoke-"
"""How the ids of the requests of a roll-out begin: a check of our own, which is no use of the model. They are
in the table, and counted nowhere."""
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
        ("beside", pa.string()),  # JSON, what the model was given beside the text; null: nothing
    ]
)
OBSERVATIONS = pa.schema(
    [
        ("partition", pa.string()),
        ("batch_id", pa.string()),
        ("request_id", pa.string()),
        ("observed_at", TIMESTAMP),
        ("model_version", pa.string()),
        ("role", pa.string()),  # champion, canary or shadow
        ("text_sha256", pa.string()),
        ("answer", pa.string()),  # JSON, of a shadow; null: it gave none
        ("error", pa.string()),  # why it gave none, in words; null: it answered
        ("latency_ms", pa.float64()),
    ]
)
"""What clients were not told: answers of a shadow, and failures of any version. With `predictions` it says
how each version does on live requests."""
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
PLAIN = pa.schema(
    [
        ("label", pa.string()),  # of several all, with a comma between; null where it is held back
        ("score", pa.float64()),  # how sure the model is of the whole answer, 0..1
        ("value", pa.float64()),  # of a number
        ("generated", pa.string()),  # of a model that writes
    ]
)
"""What people look for in an answer, each a column of its own; null where the task has none, where none was
given, and in rows of before there were such columns."""
SCORED = pa.schema(
    [
        ("source_file", pa.string()),
        (
            "row",
            pa.int64(),
        ),  # the line where it begins, from 1, a header counted; in Parquet the row
        (
            "key",
            pa.string(),
        ),  # source.key; without one: of the lake what raw or mart call it, else null
        ("answer", pa.string()),  # JSON, as the model server answers; null for a row that could not be asked
        ("fault", pa.string()),  # why it could not; null where it could
        ("model_version", pa.string()),
        ("model_digest", pa.string()),
        *PLAIN,
    ]
)
"""A row that was answered in a batch, in a file of such rows and in table `scores`."""
SCORES = pa.schema([("partition", pa.string()), ("source", pa.string()), *SCORED])
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
        ("moved_by", pa.string()),  # the user who asked for the move; null: a stage did, or nobody noted it
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
    come_and_go: tuple[str, ...] = ()
    """How the names of columns begin that the loop file decides and that may come and go: rows without one
    have null there. One that is empty: all."""
    keys: Mapping[str, str] = field(default_factory=dict)
    """Column -> the key of the loop file that decides it."""

    def may_go(self, column: str) -> bool:
        """Whether a column that the loop file does not decide any more may stay, for rows of before."""
        return not self.given or column.startswith(self.come_and_go)

    def may_come(self, column: str) -> bool:
        """Whether a table with rows gets the column, which is null in them."""
        return column not in self.given or column.startswith(self.come_and_go)


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
            *([(LANGUAGE, pa.string())] if spec.clean.tags_language else []),
            ("text_key", pa.string()),  # shared by texts that are alike: it decides the split
            ("event_time", TIMESTAMP),
            ("source_file", pa.string()),
            ("source_line", pa.int64()),
            ("partition", pa.string()),
        ]
    )


FIXED_TABLES = (
    TableSpec("quarantine", QUARANTINE, ("source_line",), ("partition", "stage")),
    TableSpec("labels", LABELS, ("source_line",), ("partition", "origin")),
    TableSpec("corrections", CORRECTIONS, ("sequence",), ()),
    TableSpec("predictions", PREDICTIONS, ("batch_id", "predicted_at")),
    TableSpec("observations", OBSERVATIONS, ("batch_id", "observed_at")),
    TableSpec("feedback", FEEDBACK, ("batch_id", "received_at")),
    TableSpec("evaluations", EVALUATIONS, ("model_digest",), ("partition", "candidate")),
    TableSpec("scores", SCORES, ("row",), ("partition", "source")),
    # By stage only: the entries of a stage can then be compacted into one file.
    TableSpec("ledger", LEDGER, ("entry_id", "partition", "finished_at"), ("stage",)),
    TableSpec("claims", CLAIMS, ("claimed_at",), ("scope", "partition")),
    TableSpec("registry", REGISTRY, ("sequence",), ()),
)

REPLACEABLE = ("raw", "labels", "quarantine", "staging", "mart", "evaluations", "scores")
"""Tables whose partitions are replaced under a fence; the others are appended to."""


def written_columns(spec: LoopSpec | None) -> dict[str, frozenset[str]]:
    """Table -> the columns that rows are written with, of the tables that may hold others, of rows of before.

    Those whose columns a loop file decides are known by its `spec` only.
    """
    tables = [table for table in tables_of(spec) if table.come_and_go] if spec else []
    return {table.name: frozenset(table.schema.names) for table in (*FIXED_TABLES, *tables)}


def tables_of(spec: LoopSpec) -> tuple[TableSpec, ...]:
    """All tables of a loop: those whose columns its file decides, then `FIXED_TABLES`."""
    mart, roles = mart_schema(spec), frozenset(spec.task.roles())
    keys = {name: f"task.{role.key.partition('.')[0]}" for name, role in spec.task.roles().items()}
    return (
        TableSpec(
            "raw",
            raw_schema(spec),
            ("source_line",),
            given=frozenset(column.name for column in given_columns(spec.source)),
            come_and_go=("",),
        ),
        TableSpec("staging", mart, ("source_line",), given=roles, come_and_go=COMING_AND_GOING, keys=keys),
        TableSpec("mart", mart, ("source_line",), given=roles, come_and_go=COMING_AND_GOING, keys=keys),
        *FIXED_TABLES,
    )


Rows = TypeVar("Rows", pa.Table, pa.RecordBatch)


def without_smoke(predictions: Rows) -> Rows:
    """The rows of the prediction log but those to smoke texts; they need their `request_id`."""
    import pyarrow.compute as pc

    ours = pc.fill_null(pc.starts_with(predictions["request_id"], SMOKE), False)
    return predictions.filter(pc.invert(ours))
