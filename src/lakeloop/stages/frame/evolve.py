"""Move a lake to the columns that the loop file has now, with the rows that are in it.

Columns that are new or no longer declared need nothing: `raw` gets them when the loop is opened, and old ones
stay. A column of another type has its values carried over, when all of them fit; raw is then rewritten in one
commit. The ledger is told of each day whose content is another one by that: transform and validate are due.

A day that is ingested again is read from its drop as ever: what the old type refused may then be rows.
"""

from __future__ import annotations

from dataclasses import dataclass

from lakeloop.lake.tables import given_columns
from lakeloop.records import RECORD_FORMAT, StageRecord, fingerprint, now
from lakeloop.sources.recast import Retyped, carried, try_all, with_types
from lakeloop.spec.identity import identity
from lakeloop.stages.frame.progress import days_of
from lakeloop.stages.frame.session import StageContext

_SHOWN = 5
_PLACE = ("source_file", "source_line", "partition")


@dataclass(frozen=True)
class Evolution:
    """What of the columns of raw is not what the loop file says."""

    version: int
    """Of raw, that was looked at."""
    rows: dict[str, int]
    """Day -> rows."""
    added: tuple[str, ...]
    dropped: tuple[str, ...]
    retyped: tuple[Retyped, ...]

    @property
    def misfits(self) -> int:
        """Values that do not fit."""
        return sum(one.misfits for one in self.retyped)

    @property
    def changes(self) -> list[list[str]]:
        """A line each for people: column, what becomes of it, its type before and now."""
        return [
            *([name, "added", "", ""] for name in self.added),
            *([name, "dropped", "", ""] for name in self.dropped),
            *([one.column.stored, "retyped", one.before, one.column.type] for one in self.retyped),
        ]


def look(context: StageContext) -> Evolution:
    """Compare the columns, and try each value of those that have another type; changes nothing.

    Raises:
        ConfigurationError: there is no lake yet; or the task's columns changed, which no row survives.
    """
    context.lake.require_same_columns(context.loop, "staging", "mart")
    lake, source = context.lake, context.loop.source
    version = lake.version("raw")
    present = {field.name: field.type for field in lake.columns("raw", version=version)}
    wanted = {field.name: field.type for field in given_columns(source)}
    ours = {"row_hash", *_PLACE}
    return Evolution(
        version=version,
        rows=lake.rows_by_partition("raw"),
        added=tuple(name for name in wanted if name not in present),
        dropped=tuple(name for name in present if name not in wanted and name not in ours),
        retyped=tuple(
            try_all(lake.scan("raw", version=version, columns=[column.stored, *_PLACE]), column, shown=_SHOWN)
            for column in source.fields
            if present.get(column.stored, wanted[column.stored]) != wanted[column.stored]
        ),
    )


def evolve(context: StageContext, evolution: Evolution) -> list[str]:
    """Do what `evolution` says, whose values must all fit; returns the days that are due again.

    Killed in between, it is simply done again.

    Raises:
        FenceError: a stage published since `look`; nothing was changed.
    """
    with context.tracked("evolve", "all", identity(context.loop, "raw")) as tracker:
        due = _evolve(context, evolution)
        tracker.table("columns", ["column", "change", "before", "now"], evolution.changes)
        carried_over = sum(evolution.rows.values()) if evolution.retyped else 0
        tracker.summary(
            {
                "status": "done",
                "reason": f"{len(evolution.changes)} column(s) changed, {len(due)} day(s) are to be built"
                " again",
                "rows/carried_over": carried_over,
                "due": due,
            }
        )
    return due


def _evolve(context: StageContext, evolution: Evolution) -> list[str]:
    lake = context.lake
    if evolution.retyped:
        fields = {one.column.stored: one.column for one in evolution.retyped}
        schema = with_types(lake.columns("raw", version=evolution.version), fields)
        parts = (
            carried(lake.scan("raw", version=evolution.version, partition=day), schema, fields)
            for day in evolution.rows
        )
        lake.retype("raw", evolution.version, schema, parts, context.attempt)
    lake.bootstrap(context.loop)
    return _tell_the_ledger(context)


def _tell_the_ledger(context: StageContext) -> list[str]:
    """Record of each day whose content is another one since raw was rewritten what it is now.

    A day of which the ledger and the rows before did not agree is left alone: its ingest was interrupted.
    """
    lake, told = context.lake, []
    version = lake.retyped_at("raw")
    if version is None:
        return []
    for day in days_of(lake.ledger.entries()):
        before = day.ingest
        if before is None or int(before.outputs.get("raw_version", version)) >= version:
            continue
        recorded = before.outputs["raw"].removeprefix("sha256:")
        digest = lake.digest("raw", version=version, like=recorded, partition=day.partition)
        if recorded in (digest, ""):
            continue
        if recorded != lake.digest("raw", version=version - 1, like=recorded, partition=day.partition):
            continue
        fence = lake.claim("ingest", day.partition, context.attempt)
        if lake.ledger.latest("ingest", day.partition, "done") == before:
            lake.record(_after(context, before, digest, version), fence)
            told.append(day.partition)
    return told


def _after(context: StageContext, before: StageRecord, digest: str, version: int) -> StageRecord:
    """What ingest recorded, of the same rows with other types. No ingest has its fingerprint."""
    by = context.provenance(now())
    changes = {
        "reason": f"the rows of before, with columns of other types: {before.reason}",
        "fingerprint": fingerprint(evolved=before.fingerprint, raw=digest),
        "outputs": {**before.outputs, "raw": digest, "raw_version": str(version)},
        "config": identity(context.loop, "raw"),
        "format": RECORD_FORMAT,
        "provenance": by,
    }
    return before.model_copy(update=changes)
