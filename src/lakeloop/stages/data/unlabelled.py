"""A day of which no row has got its label yet, or has one any more: there is nothing of it to publish."""

from __future__ import annotations

from lakeloop.plural import waits_for_label
from lakeloop.records import Counts, StageRecord
from lakeloop.stages.frame.session import StageContext, StageSession


def waits_whole(transformed: StageRecord) -> bool:
    """Whether rows of the day wait for their label, and no other was built."""
    counts = transformed.counts
    return counts is not None and bool(counts.waiting) and not counts.accepted


def nothing_to_publish(context: StageContext, stage: StageSession, transformed: StageRecord) -> StageRecord:
    """End `validate` for a day that waits whole; one that was published before is taken out of the mart.

    Raises:
        FenceError: a newer attempt took over.
    """
    from lakeloop.lake.tables import QUARANTINE, mart_schema

    assert transformed.counts is not None
    waits = waits_for_label(transformed.counts.waiting)
    if context.lake.ledger.latest("validate", stage.partition, "done") is None:
        return stage.skipped(f"nothing to publish yet: {waits}")
    fence, day = stage.claim(), {"partition": stage.partition}
    none, where = QUARANTINE.empty_table(), {**day, "stage": "validate"}
    quarantine = context.lake.replace("quarantine", none, where=where, fence=fence)
    mart = context.lake.replace("mart", mart_schema(context.loop).empty_table(), where=day, fence=fence)
    return stage.done(
        reason=f"taken out of the mart, labels were taken back: {waits}",
        outputs={
            "mart": mart.digest,
            "mart_version": str(mart.version),
            "quarantine": quarantine.digest,
            "quarantine_version": str(quarantine.version),
        },
        counts=Counts(read=0, accepted=0),
    )
