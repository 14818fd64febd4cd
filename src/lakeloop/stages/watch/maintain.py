"""Stage `maintain`: the tables of a loop stay small, what nothing needs goes, what is left is counted.

How tables are compacted is `lakeloop.lake.upkeep`, what else goes `lakeloop.disk`, of models by
`lakeloop.registry.retention`. Starting the work that is left is up to the DAG `maintenance`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from lakeloop.errors import TransientError
from lakeloop.records import StageRecord, now
from lakeloop.stages.frame.pending import Standing, pending_work, standing_now
from lakeloop.stages.frame.session import StageContext, StageSession

if TYPE_CHECKING:
    from lakeloop.disk.clean import Counted, Freed
    from lakeloop.lake.upkeep import Tidied
    from lakeloop.registry.retention import Plan

log = logging.getLogger(__name__)

RETENTION = timedelta(days=7)
"""How long a pinned version of a table can be read after it was replaced."""
CLAIMED = timedelta(days=30)
"""How long a claim holds at least: no stage works longer."""


def maintain(context: StageContext, partition: str, *, retention: timedelta = RETENTION) -> StageRecord:
    """Compact and vacuum the tables, and remove what is beyond its limit on the disk, models by `keep` too.

    No version of a table younger than `retention` is deleted. Journals that W&B has not seen are picked up by
    the mirror, which every stage wakes when it ends; here they are counted. `partition` is the day it is done
    on. What cannot be removed is told, and fails nothing.
    """
    from lakeloop.lake.claims import Claims
    from lakeloop.lake.delta import DeltaStore
    from lakeloop.lake.remote import options_of
    from lakeloop.lake.tables import tables_of
    from lakeloop.lake.upkeep import remove_leftovers, tidy_tables

    config = {"retention_hours": retention / timedelta(hours=1)}
    with context.stage("maintain", partition, config=config) as stage:
        base = f"{context.settings.lake.rstrip('/')}/{context.loop.name}"
        store = DeltaStore(base, options_of(context.settings))
        if forgotten := Claims(store).forget(now() - CLAIMED):
            log.info("%d old claims forgotten", forgotten)
        tidied = tidy_tables(store, [table.name for table in tables_of(context.loop)], retention)
        leftovers = [*remove_leftovers(store, retention), *context.lake.files.remove_leftovers(retention)]
        for name in leftovers:
            log.info("removed what a killed writer left: %s", name)
        freed, kinds = _clean(context)
        return _done(stage, tidied, leftovers, freed, kinds, standing_now(context))


def _clean(context: StageContext) -> tuple[list[Freed], list[Counted]]:
    """What was removed, and what there is after that."""
    from lakeloop.disk.base import Place
    from lakeloop.disk.clean import clean, look
    from lakeloop.disk.limits import DiskLimits
    from lakeloop.settings import read_settings

    place = Place(context.settings, (context.loop,), now().timestamp(), read_settings(DiskLimits))
    freed: list[Freed] = []
    try:
        freed = clean(place)
    except (
        TransientError
    ) as error:  # another loop's maintenance has that long to do; tomorrow is early enough
        log.warning("disk: %s", error)
    for each in freed:
        log.info("disk: %s: %d removed, %d bytes", each.kind, each.things, each.bytes)
        if each.trouble:
            log.warning("disk: %s: %s", each.kind, each.trouble)
    return freed, look(place)


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


def _done(
    stage: StageSession,
    tidied: Sequence[Tidied],
    leftovers: Sequence[str],
    freed: Sequence[Freed],
    kinds: Sequence[Counted],
    standing: Standing,
) -> StageRecord:
    from lakeloop.tracking.progress import ended

    settings, work = stage.context.settings, pending_work(standing)
    journals = 0 if settings.wandb_mode == "disabled" else len(ended(settings.journals))
    models = [each for each in freed if each.kind in ("candidates", "versions")]
    compacted, deleted = sum(done.compacted for done in tidied), sum(done.deleted for done in tidied)
    metrics = {
        "files/compacted": float(compacted),
        "files/deleted": float(deleted),
        "files/leftovers": float(len(leftovers)),
        "models/removed": float(sum(each.things for each in models)),
        "models/bytes_removed": float(sum(each.bytes for each in models)),
        "disk/bytes": float(sum(each.bytes for each in kinds)),
        "disk/bytes_freed": float(sum(each.bytes for each in freed)),
        **{f"disk/{each.kind}": float(each.bytes) for each in kinds if each.bytes},
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
        "disk",
        ["kind", "of", "things", "bytes", "limit"],
        [[each.kind, each.owner, each.things, each.bytes, each.limit] for each in kinds if each.things],
    )
    stage.tracker.table(
        "pending", ["stage", "partition", "reason"], [[p.stage, p.partition, p.reason] for p in work]
    )
    return stage.done(
        reason=f"{compacted} small files compacted, {deleted} old ones deleted, {len(leftovers)} leftovers"
        f" removed; {_words(freed)};"
        f" {len(work)} step(s) are due, {journals} journal(s) wait for W&B"
        f"{standing.left_alone and f'; {standing.left_alone}'}",
        metrics=metrics,
    )


def _words(freed: Sequence[Freed]) -> str:
    """What went, and what could not."""
    parts = ", ".join(f"{each.kind} {each.things}" for each in freed if each.things)
    trouble = "".join(f"; {each.kind}: {each.trouble}" for each in freed if each.trouble)
    size = sum(each.bytes for each in freed) / 1e6
    return f"{size:.0f} MB freed{f' ({parts})' if parts else ''}{trouble}"
