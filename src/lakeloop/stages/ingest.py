"""Stage `ingest`: the drop of one day becomes rows of `raw`, every bad line a row of `quarantine`.

Quarantine is published before raw, both under one fence; the ledger entry that makes them one result comes
last. A run that is killed anywhere in between is simply run again, with the same outcome.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from lakeloop.durable import write_atomically
from lakeloop.faults import reach
from lakeloop.records import StageRecord
from lakeloop.spec.days import require_day
from lakeloop.stages.session import StageContext, StageSession

if TYPE_CHECKING:
    from lakeloop.lake import Published
    from lakeloop.sources.base import Drop
    from lakeloop.sources.intake import Intake

_SHOWN_REJECTS = 50


def ingest(context: StageContext, partition: str) -> StageRecord:
    """Read the drop of the day `partition` and publish it; unchanged when this drop was published before.

    Ends skipped, with the place that was looked at, when there is no drop for this day.

    Raises:
        ConfigurationError: `partition` is no day, or the source is not what the loop file says.
        CountsError: lines read are not rows + quarantined + duplicates; nothing was published.
        DataError: the header of a CSV drop is not the declared one; nothing was published.
        FenceError: a newer attempt took over.
    """
    from lakeloop.sources.intake import take_in
    from lakeloop.sources.kinds import open_source

    require_day(partition)
    with context.stage("ingest", partition, config=context.loop.source) as stage:
        source = open_source(context.loop, context.settings)
        drop = source.drop(partition)
        if drop is None:
            return stage.skipped(source.absence(partition))
        stage.inputs(drop=f"sha256:{drop.digest}")
        if done := stage.unchanged():
            return done
        fence = stage.claim()
        intake = take_in(drop, context.loop, partition)
        reach("ingest.before-quarantine")
        where = {"partition": partition, "stage": "ingest"}
        quarantine = context.lake.replace("quarantine", intake.quarantine, where=where, fence=fence)
        reach("ingest.before-commit")
        raw = context.lake.replace("raw", intake.raw, where={"partition": partition}, fence=fence)
        reach("ingest.after-commit")
        _track(stage, intake, drop, raw)
        record = stage.done(
            reason=_reason(intake, drop),
            outputs={
                "raw": raw.digest,
                "raw_version": str(raw.version),
                "quarantine": quarantine.digest,
                "quarantine_version": str(quarantine.version),
            },
            counts=intake.counts,
            metrics=_metrics(intake),
            links={"drop": str(drop.path)},
        )
        reach("ingest.after-ledger")
        return record


def _reason(intake: Intake, drop: Drop) -> str:
    counts = intake.counts
    reasons = ", ".join(f"{reason} {lines}" for reason, lines in intake.reasons.items())
    return (
        f"{counts.read} line(s) of {drop.name}: {counts.accepted} accepted, "
        f"{counts.quarantined} quarantined{f' ({reasons})' if reasons else ''}, "
        f"{counts.duplicates} exact duplicate(s) dropped"
    )


def _metrics(intake: Intake) -> dict[str, float]:
    read = max(intake.counts.read, 1)
    return {
        "quarantined_share": intake.counts.quarantined / read,
        "duplicate_share": intake.counts.duplicates / read,
        "repeated_keys": float(intake.repeated_keys),
    }


def _track(stage: StageSession, intake: Intake, drop: Drop, raw: Published) -> None:
    """Tell the tracker what came in: no text of rows leaves the lake."""
    stage.log({**{f"rows/{name}": value for name, value in intake.counts}, **_metrics(intake)})
    stage.table("quarantine by reason", ["reason", "lines"], [list(item) for item in intake.reasons.items()])
    columns = ["source_line", "reason", "column"]
    shown = intake.quarantine.select(columns).slice(0, _SHOWN_REJECTS).to_pylist()
    stage.table("quarantined lines", columns, [[row[name] for name in columns] for row in shown])
    description = {
        "table": raw.uri,
        "version": raw.version,
        "partition": stage.partition,
        "rows": raw.rows,
        "digest": raw.digest,
        "drop": {"name": drop.name, "sha256": drop.digest},
    }
    path = stage.work / "raw.json"
    write_atomically(path, json.dumps(description, indent=2) + "\n")
    stage.artifact(f"{stage.context.loop.name}-raw", "dataset", path, description)
