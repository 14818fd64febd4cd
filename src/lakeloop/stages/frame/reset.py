"""Take the rows of days out of the lake again, so that they are made anew from their drops.

What is cleared are raw, quarantine, staging and mart. Nothing else: models and their history, evaluations,
predictions and feedback stay, and the ledger keeps all its entries. It gets a further one for each stage and
day, with the status `reset`, which is written before rows go: a day that is cleared half counts as not
ingested, and is due again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from lakeloop.errors import ConfigurationError
from lakeloop.lake.claims import Fence
from lakeloop.lake.reshape import CLEARED
from lakeloop.lake.tables import QUARANTINE, mart_schema, raw_schema
from lakeloop.records import RECORD_FORMAT, StageRecord, now
from lakeloop.sources.registry import open_source
from lakeloop.stages.catalogue import DATA
from lakeloop.stages.frame.activity import failed
from lakeloop.stages.frame.session import StageContext
from lakeloop.tracking.activity import activities_of


@dataclass(frozen=True)
class Clearance:
    """What a reset takes away."""

    days: tuple[str, ...]
    """Those that have rows, entries in the ledger or a failure; oldest first."""
    rows: Mapping[str, Mapping[str, int]]
    """Table -> day -> rows."""
    recorded: Mapping[str, tuple[str, ...]]
    """Stage -> the days of which the ledger has something, or on which it failed last."""
    without_drop: tuple[str, ...]
    """Days whose delivery is not there now: nothing can make their rows again."""
    everything: bool
    """All days: then the tables get the columns that the loop file declares, whatever they had."""

    @property
    def total(self) -> int:
        """Rows of all tables together."""
        return sum(sum(days.values()) for days in self.rows.values())


def to_clear(context: StageContext, days: Sequence[str] | None) -> Clearance:
    """What a reset of `days` takes away; None: of all days, in a lake whose columns may be any.

    Raises:
        ConfigurationError: there is no lake of this loop yet.
    """
    entries = [entry for entry in context.lake.ledger.entries() if entry.stage in DATA]
    failures = failed(activities_of(context.settings.journals, context.loop.name), entries)
    recorded = {
        stage: {
            *(entry.partition for entry in entries if entry.stage == stage and entry.status != "reset"),
            *(failure.partition for failure in failures if failure.stage == stage),
        }
        for stage in DATA
    }
    rows = {table: context.lake.rows_by_partition(table) for table in CLEARED}
    known = set().union(*recorded.values(), *rows.values())
    found = sorted(known if days is None else known & set(days))
    there: set[str] = set()
    with suppress(ConfigurationError):
        there = set(open_source(context.loop, context.settings).partitions())
    return Clearance(
        days=tuple(found),
        rows={table: {day: counts[day] for day in found if day in counts} for table, counts in rows.items()},
        recorded={stage: tuple(sorted(on & set(found))) for stage, on in recorded.items()},
        without_drop=tuple(day for day in found if day not in there),
        everything=days is None,
    )


def clear(context: StageContext, clearance: Clearance) -> None:
    """Take the rows away; killed in between, it is simply done again.

    Raises:
        FenceError: a stage is at work on one of the days; nothing it published is lost. Do it again.
    """
    days = clearance.days
    span = "all" if clearance.everything or not days else "_".join(dict.fromkeys((days[0], days[-1])))
    with context.tracked("reset", span, {"days": list(days)}) as tracker:
        _clear(context, clearance)
        tracker.table(
            "cleared",
            ["table", "day", "rows"],
            [[table, day, rows] for table, counts in clearance.rows.items() for day, rows in counts.items()],
        )
        tracker.summary(
            {
                "status": "reset",
                "reason": f"{clearance.total} rows of {len(days)} day(s) were cleared",
                **{f"rows/{table}": sum(counts.values()) for table, counts in clearance.rows.items()},
            }
        )


def _clear(context: StageContext, clearance: Clearance) -> None:
    if clearance.everything:
        for stage, days in clearance.recorded.items():
            _record(context, stage, days, "the tables were emptied")
        context.lake.empty(context.loop, context.attempt)
        context.lake.bootstrap(context.loop)
        return
    for day in clearance.days:
        _clear_day(context, day, [stage for stage, days in clearance.recorded.items() if day in days])


def _clear_day(context: StageContext, day: str, recorded: Sequence[str]) -> None:
    """Clear one day, under the fences of all its stages: what they are doing now is not published."""
    lake = context.lake
    fences = {stage: lake.claim(stage, day, context.attempt) for stage in DATA}
    for stage in recorded:
        _record(context, stage, (day,), "its rows were cleared", fences[stage])
    raw, built = raw_schema(context.loop).empty_table(), mart_schema(context.loop).empty_table()
    nothing = QUARANTINE.empty_table()
    here = {"partition": day}
    lake.replace("mart", built, where=here, fence=fences["validate"])
    lake.replace("quarantine", nothing, where={**here, "stage": "validate"}, fence=fences["validate"])
    lake.replace("staging", built, where=here, fence=fences["transform"])
    lake.replace("quarantine", nothing, where={**here, "stage": "ingest"}, fence=fences["ingest"])
    lake.replace("raw", raw, where=here, fence=fences["ingest"])


def _record(
    context: StageContext, stage: str, days: Sequence[str], what: str, fence: Fence | None = None
) -> None:
    """Tell the ledger that what the stage did on these days no longer counts."""
    if days:
        context.lake.record_all(list(_resets(context, stage, days, what)), fence)


def _resets(context: StageContext, stage: str, days: Sequence[str], what: str) -> Iterator[StageRecord]:
    by = context.provenance(now())
    for day in days:
        yield StageRecord(
            loop=context.loop.name,
            stage=stage,
            partition=day,
            status="reset",
            reason=f"{what} by a reset: {stage} of {day} is to be done again",
            format=RECORD_FORMAT,
            provenance=by,
        )
