"""Stage `maintain`: the tables of a loop stay small, models that nobody needs go, what is left is counted.

How tables are compacted is `lakeloop.lake.upkeep`, which models go `lakeloop.registry.retention`. Starting
the work that is left is up to the DAG `maintenance`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from lakeloop.records import StageRecord, now
from lakeloop.scratch.folder import passing_folder
from lakeloop.stages.frame.pending import Standing, pending_work, standing_now
from lakeloop.stages.frame.session import StageContext, StageSession

if TYPE_CHECKING:
    from lakeloop.lake.upkeep import Tidied
    from lakeloop.registry.retention import Plan

log = logging.getLogger(__name__)

RETENTION = timedelta(days=7)
"""How long a pinned version of a table can be read after it was replaced."""
CLAIMED = timedelta(days=30)
"""How long a claim holds at least: no stage works longer."""


def maintain(context: StageContext, partition: str, *, retention: timedelta = RETENTION) -> StageRecord:
    """Compact and vacuum the tables, remove models by `keep`, and what killed writers and trainings left.

    Nothing younger than `retention` is deleted. Journals that W&B has not seen are picked up by the mirror,
    which every stage wakes when it ends; here they are counted. `partition` is the day it is done on.
    """
    from lakeloop.jobs.leftovers import remove_checkpoints
    from lakeloop.lake.claims import Claims
    from lakeloop.lake.delta import DeltaStore
    from lakeloop.lake.tables import tables_of
    from lakeloop.lake.upkeep import remove_leftovers, tidy_tables

    config = {"retention_hours": retention / timedelta(hours=1)}
    with context.stage("maintain", partition, config=config) as stage:
        base = f"{context.settings.lake.rstrip('/')}/{context.loop.name}"
        store = DeltaStore(base, context.settings.storage_options)
        if forgotten := Claims(store).forget(now() - CLAIMED):
            log.info("%d old claims forgotten", forgotten)
        tidied = tidy_tables(store, [table.name for table in tables_of(context.loop)], retention)
        leftovers = remove_leftovers(store, retention)
        for name in leftovers:
            log.info("removed what a killed writer left: %s", name)
        work = context.settings.home / "work"
        for path in remove_checkpoints(work / context.loop.name, retention):
            leftovers.append(name := path.relative_to(work).as_posix())
            log.info("removed what a training left that nobody went on with: %s", name)
        removed = _remove_models(context, stage)
        return _done(stage, tidied, leftovers, removed, standing_now(context))


def to_remove(context: StageContext) -> Plan:
    """What maintenance would remove now by `keep` of the loop file; changes nothing.

    Raises:
        ArtifactError: a search is not in the lake as it was stored.
    """
    from lakeloop.registry.registry import Registry
    from lakeloop.registry.retention import plan

    lake = context.lake
    history = Registry(lake, context.attempt).read()
    return plan(lake.files, history, lake.ledger.entries(), context.loop.keep, now())


def _remove_models(context: StageContext, stage: StageSession) -> Plan:
    from lakeloop.registry.registry import Registry
    from lakeloop.registry.retention import carry_out

    planned = to_remove(context)
    with passing_folder(stage.work, "retention") as scratch:
        carry_out(planned.going, Registry(context.lake, context.attempt), context.lake.files, scratch)
    for each in planned.going:
        log.info("removed %s, %d bytes: %s", each.name, each.bytes, each.reason)
    return planned


def _done(
    stage: StageSession,
    tidied: Sequence[Tidied],
    leftovers: Sequence[str],
    removed: Plan,
    standing: Standing,
) -> StageRecord:
    from lakeloop.tracking.progress import ended

    settings, work = stage.context.settings, pending_work(standing)
    journals = 0 if settings.wandb_mode == "disabled" else len(ended(settings.journals))
    compacted, deleted = sum(done.compacted for done in tidied), sum(done.deleted for done in tidied)
    metrics = {
        "files/compacted": float(compacted),
        "files/deleted": float(deleted),
        "files/leftovers": float(len(leftovers)),
        "models/removed": float(len(removed.going)),
        "models/bytes_removed": float(removed.bytes),
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
        f" removed; {len(removed.going)} models of {removed.bytes / 1e6:.0f} MB removed;"
        f" {len(work)} step(s) are due, {journals} journal(s) wait for W&B"
        f"{standing.left_alone and f'; {standing.left_alone}'}",
        metrics=metrics,
    )
