"""How far a loop is, from its ledger: the state of each day, and what is left to do. Pure functions.

The lake is the truth and asset events are hints: what was published and never used is found here, by
comparing what a record was made from with what the stage before it left. Callers read the ledger.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lakeloop.records import StageRecord
from lakeloop.spec.loop import LoopSpec
from lakeloop.stages.dataset import decide_from

if TYPE_CHECKING:
    from lakeloop.registry.history import ModelVersion


@dataclass(frozen=True)
class Pending:
    """Work that is due and that nobody did."""

    stage: str
    partition: str
    reason: str
    """A sentence for people."""


@dataclass(frozen=True)
class Day:
    """One partition on its way into the mart. A stage counts when it was made from what is there now."""

    partition: str
    ingest: StageRecord | None
    transform: StageRecord | None
    validate: StageRecord | None
    standing: StageRecord | None = None
    """The publication of an earlier version of the day, which stands until this one is published."""

    @property
    def records(self) -> tuple[StageRecord, ...]:
        """Those that are there, in the order of the stages."""
        return tuple(record for record in (self.ingest, self.transform, self.validate) if record)


def days_of(entries: Iterable[StageRecord]) -> list[Day]:
    """The days of a loop, oldest first, from the entries of its ledger, oldest first."""
    newest = {(entry.partition, entry.stage): entry for entry in entries if entry.status == "done"}
    days = []
    for partition in sorted({partition for partition, stage in newest if stage == "ingest"}):
        ingest = newest.get((partition, "ingest"))
        transform = _made_from(newest.get((partition, "transform")), ingest, "raw")
        published = newest.get((partition, "validate"))
        validate = _made_from(published, transform, "staging")
        days.append(Day(partition, ingest, transform, validate, None if validate else published))
    return days


def pending_work(
    loop: LoopSpec,
    entries: Sequence[StageRecord],
    champion: ModelVersion | None,
    days_there: Sequence[str] = (),
) -> list[Pending]:
    """What is due, in the order in which it should be done. `days_there` have a drop that is whole."""
    steps = (
        *_pending_ingests(entries, days_there),
        *(_pending_of_day(day) for day in days_of(entries)),
        _pending_training(loop, entries),
        _pending_release(entries),
        _pending_rollout(entries, champion),
    )
    return [step for step in steps if step]


def newest(entries: Sequence[StageRecord], stage: str, partition: str | None = None) -> StageRecord | None:
    """The newest result (done or refused) of a stage."""
    return next(
        (
            entry
            for entry in reversed(entries)
            if entry.stage == stage
            and entry.status in ("done", "refused")
            and partition in (None, entry.partition)
        ),
        None,
    )


def _made_from(record: StageRecord | None, source: StageRecord | None, table: str) -> StageRecord | None:
    """`record`, when it was made from the rows that `source` left in `table`."""
    if record is None or source is None:
        return None
    digest = source.outputs.get(table, "").removeprefix("sha256:")
    return record if digest in {value.removeprefix("sha256:") for value in record.inputs.values()} else None


def _pending_ingests(entries: Sequence[StageRecord], days_there: Sequence[str]) -> list[Pending]:
    """Days with a drop and no rows, since the first that was ingested: nobody asked for older ones."""
    ingested = {entry.partition for entry in entries if entry.stage == "ingest" and entry.status == "done"}
    if not ingested:
        return []
    missing = [day for day in days_there if day > min(ingested) and day not in ingested]
    return [Pending("ingest", day, f"the drop of {day} was never ingested") for day in missing]


def _pending_of_day(day: Day) -> Pending | None:
    if day.ingest and not day.transform:
        rows = day.ingest.counts.accepted if day.ingest.counts else 0
        return Pending("transform", day.partition, f"{rows} raw rows of {day.partition} are not transformed")
    if day.transform and not day.validate:
        rows = day.transform.counts.accepted if day.transform.counts else 0
        return Pending("validate", day.partition, f"{rows} rows of {day.partition} are built, not published")
    return None


def _pending_training(loop: LoopSpec, entries: Sequence[StageRecord]) -> Pending | None:
    decision = decide_from(loop, entries)
    return Pending("train", decision.partition, decision.reason) if decision.train else None


def _pending_release(entries: Sequence[StageRecord]) -> Pending | None:
    evaluation = newest(entries, "evaluate")
    if evaluation is None:
        return None
    decided = {entry.inputs.get("evaluation") for entry in entries if entry.stage == "release"}
    if evaluation.fingerprint in decided:
        return None
    return Pending("release", evaluation.partition, f"evaluated and not decided upon: {evaluation.reason}")


def _pending_rollout(entries: Sequence[StageRecord], champion: ModelVersion | None) -> Pending | None:
    if champion is None:
        return None
    last = newest(entries, "rollout")
    if last and last.outputs.get("digest") == champion.digest:
        return None
    released = [
        entry
        for entry in entries
        if entry.stage == "release" and entry.outputs.get("digest") == champion.digest
    ]
    if not released:
        return None
    before = f"the last roll-out was {last.outputs['version']}" if last else "nothing was rolled out yet"
    return Pending(
        "rollout", released[-1].partition, f"{champion.name} is champion and not rolled out; {before}"
    )
