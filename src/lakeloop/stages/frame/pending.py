"""What is left to do in a loop. Each stage that can be due has the rule for it: `pending` in its module.

The lake is the truth and asset events are hints: what was published and never used is found by comparing what
a record was made from with what the stage before it left.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Protocol

from lakeloop.datasets.decision import NewRows, all_rows
from lakeloop.records import StageRecord, now
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.ticks import newest_due
from lakeloop.stages.catalogue import STAGES
from lakeloop.stages.frame.cost import Unfinished, unfinished
from lakeloop.stages.frame.progress import Day, days_of, reset_days
from lakeloop.stages.frame.session import StageContext
from lakeloop.tracking.activity import Activity, activities_of

if TYPE_CHECKING:
    from lakeloop.lake.corrections import OfADay
    from lakeloop.registry.history import History, ModelVersion
    from lakeloop.registry.trials import Trial
    from lakeloop.settings import Settings


@dataclass(frozen=True)
class Pending:
    """Work that is due and was not done."""

    stage: str
    partition: str
    reason: str
    """A sentence for people."""


@dataclass(frozen=True)
class Standing:
    """Where a loop stands: all that a rule for pending work may look at."""

    loop: LoopSpec
    entries: Sequence[StageRecord]
    """The entries of the loop's ledger, oldest first."""
    champion: ModelVersion | None
    days_there: Sequence[str] = ()
    """The days whose delivery is there and whole, oldest first."""
    days_changed: Sequence[str] = ()
    """Those of them whose delivery is another one than the one that was ingested."""
    days_emptied: Sequence[str] = ()
    """Days that were ingested and have no record any more, in files that are there."""
    activities: Sequence[Activity] = ()
    """What runs now, and what failed last."""
    new_rows: NewRows = all_rows
    """How many rows of a day that was published again are new to a training."""
    unfinished: Sequence[Unfinished] = ()
    """What trainings without a result have cost."""
    trial: Trial | None = None
    """Of a version beside the champion."""
    corrections: Mapping[str, OfADay] = field(default_factory=dict)
    """Day -> the corrections of its records."""
    labels_there: Sequence[str] = ()
    """The days of which answers are there that come apart from their rows, oldest first."""
    labels_changed: Sequence[str] = ()
    """Those of them whose answers are others than those that were read."""

    @cached_property
    def days(self) -> list[Day]:
        """The days that were ingested, oldest first."""
        return days_of(self.entries)

    @cached_property
    def older(self) -> list[str]:
        """Days that are there, older than the first that was ingested and never wanted: oldest first."""
        ingested = [day.partition for day in self.days]
        cleared = reset_days(self.entries)
        return [day for day in self.days_there if ingested and day < min(ingested) and day not in cleared]

    @property
    def left_alone(self) -> str:
        """What is not done about `older`, and how a person has it done; empty when there are none."""
        if not self.older:
            return ""
        first, last, name = self.older[0], self.older[-1], self.loop.name
        return (
            f"{len(self.older)} day(s) with data are older than the first one ingested and left alone,"
            f" {first} to {last}; to have them: lakeloop run {name} --from {first} --to {last}, or a backfill"
            f" of {name}.ingest"
        )


class PendingRule(Protocol):
    """What a stage has to do, oldest day first; nothing when all is done. Reads nothing but its argument."""

    def __call__(self, standing: Standing) -> Iterator[Pending]: ...


def pending_work(standing: Standing) -> list[Pending]:
    """What is due, in the order in which it should be done."""
    rules = (stage.pending for stage in STAGES)
    return [step for rule in rules if rule for step in rule(standing)]


def standing_of(
    context: StageContext,
    entries: Sequence[StageRecord],
    history: History,
    patience: float = math.inf,
) -> Standing:
    """Where the context's loop stands, now.

    One listing of the source. A delivery is read when it looks another than it did when it was ingested, for
    `patience` seconds in all; rows of the mart are, when a day that was trained on was published again.
    """
    from lakeloop.datasets.news import new_rows_in
    from lakeloop.lake.corrections import digests
    from lakeloop.stages.frame.emptied import emptied_days

    schedule = context.loop.schedule
    # Of the newest day, the schedule says when it is whole: nobody is before it.
    newest = newest_due(schedule.cron, schedule.timezone, now())
    look = partial(_deliveries, context.settings, entries, newest, patience)
    there, changed, read = look(context.loop, "ingest")
    of_labels = context.loop.of_labels
    answers = look(of_labels, "labels")[:2] if of_labels else ((), ())
    news = new_rows_in(context.lake, list(context.loop.task.roles()))
    activities = activities_of(context.settings.journals, context.loop.name)
    return Standing(
        context.loop,
        entries,
        history.alias("champion"),
        there,
        changed,
        emptied_days(context, read, set(there)),
        activities,
        news,
        unfinished(context.settings, context.loop.name),
        history.trial,
        digests(context.lake),
        *answers,
    )


def _deliveries(
    settings: Settings,
    entries: Sequence[StageRecord],
    newest: str,
    patience: float,
    loop: LoopSpec,
    stage: str,
) -> tuple[list[str], list[str], dict[str, str]]:
    """Days that are there; those that are others than when `stage` read them; what it read of each."""
    from lakeloop.sources.days import whole_days
    from lakeloop.sources.seen import changed_days

    there = whole_days(loop, settings, newest)
    read = {
        entry.partition: entry.inputs["drop"]
        for entry in entries
        if entry.stage == stage and entry.status == "done" and "drop" in entry.inputs
    }
    still = {day: drop for day, drop in read.items() if day in there}
    return there, changed_days(loop, settings, still, patience), read


def work_left(context: StageContext) -> list[Pending]:
    """Work that is due and was not done, in the order in which it should be done. Reads as `standing_now`."""
    return pending_work(standing_now(context))


def standing_now(context: StageContext) -> Standing:
    """Where the loop stands: one read of the ledger, one of the registry, and what `standing_of` looks at."""
    from lakeloop.registry.registry import Registry

    history = Registry(context.lake, context.attempt).read()
    return standing_of(context, context.lake.ledger.entries(), history)
