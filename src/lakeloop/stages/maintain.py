"""What was left behind, and keeping the lake small. `pending` only looks; `maintain` compacts and deletes.

What counts as left behind is `progress`; how tables are compacted is `lakeloop.lake.upkeep`. Triggering the
work that is pending is up to whoever schedules it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from lakeloop.records import StageRecord
from lakeloop.stages.progress import Pending, pending_work
from lakeloop.stages.session import StageContext, StageSession

if TYPE_CHECKING:
    from lakeloop.lake.upkeep import Tidied

__all__ = ["Pending", "maintain", "pending"]

log = logging.getLogger(__name__)

RETENTION = timedelta(days=7)
"""How long a pinned version of a table can be read after it was replaced."""


def pending(context: StageContext) -> list[Pending]:
    """Work that is due and that nobody did, in the order in which it should be done."""
    from lakeloop.registry.registry import Registry
    from lakeloop.sources.days import days_over

    champion = Registry(context.lake, context.attempt).champion()
    days = days_over(context.loop, context.settings)
    return pending_work(context.loop, context.lake.ledger.entries(), champion, days)


def maintain(context: StageContext, partition: str, *, retention: timedelta = RETENTION) -> StageRecord:
    """Compact and vacuum the tables of the loop, and remove what killed writers left.

    Nothing younger than `retention` is deleted. Journals that W&B has not seen are picked up by the mirror,
    which every stage wakes when it ends; here they are counted. `partition` is the day it is done on.
    """
    from lakeloop.lake.delta import DeltaStore
    from lakeloop.lake.tables import tables_of
    from lakeloop.lake.upkeep import remove_leftovers, tidy_tables

    config = {"retention_hours": retention / timedelta(hours=1)}
    with context.stage("maintain", partition, config=config) as stage:
        base = f"{context.settings.lake.rstrip('/')}/{context.loop.name}"
        store = DeltaStore(base, context.settings.storage_options)
        tidied = tidy_tables(store, [table.name for table in tables_of(context.loop)], retention)
        leftovers = remove_leftovers(store, retention)
        for name in leftovers:
            log.info("removed what a killed writer left: %s", name)
        return _done(stage, tidied, leftovers, pending(context))


def _done(
    stage: StageSession, tidied: Sequence[Tidied], leftovers: Sequence[str], work: Sequence[Pending]
) -> StageRecord:
    from lakeloop.tracking.progress import ended

    settings = stage.context.settings
    journals = 0 if settings.wandb_mode == "disabled" else len(ended(settings.journals))
    compacted, deleted = sum(done.compacted for done in tidied), sum(done.deleted for done in tidied)
    metrics = {
        "files/compacted": float(compacted),
        "files/deleted": float(deleted),
        "files/leftovers": float(len(leftovers)),
        "pending": float(len(work)),
        "journals/waiting": float(journals),
    }
    stage.tracker.log(metrics)
    stage.tracker.table(
        "tables",
        ["table", "compacted", "deleted", "busy"],
        [[done.table, done.compacted, done.deleted, done.busy] for done in tidied],
    )
    stage.tracker.table(
        "pending", ["stage", "partition", "reason"], [[p.stage, p.partition, p.reason] for p in work]
    )
    return stage.done(
        reason=f"{compacted} small files compacted, {deleted} old ones deleted, {len(leftovers)} leftovers"
        f" removed; {len(work)} step(s) are due, {journals} journal(s) wait for W&B",
        metrics=metrics,
    )
