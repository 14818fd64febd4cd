"""The data set that a training of a day is on, and that its evaluation takes the test rows from."""

from __future__ import annotations

from lakeloop.measures.leaking import Leak, LeakReport
from lakeloop.records import StageRecord
from lakeloop.stages.frame.session import StageContext

STAGE = "dataset"


def newest_dataset(context: StageContext, partition: str) -> StageRecord | None:
    """The newest data set of `partition`; None when none was frozen.

    An experiment freezes under a name of its own, and takes production's where that is newer.
    """
    names = dict.fromkeys((STAGE, context.record_name(STAGE)))
    made = [context.lake.ledger.latest(name, partition, "done") for name in names]
    return max(filter(None, made), key=lambda record: record.provenance.finished_at, default=None)


def leaks_of(context: StageContext, digest: str) -> tuple[Leak, ...]:
    """What was suspected of the data set with this digest when it was last frozen; none if nobody looked."""
    names = dict.fromkeys((STAGE, context.record_name(STAGE)))
    made = [entry for name in names for entry in context.lake.ledger.entries(name, status="done")]
    of_set = [entry for entry in made if entry.outputs["digest"] == digest]
    newest = max(of_set, key=lambda entry: entry.provenance.finished_at, default=None)
    return LeakReport.of(newest.leaks).leaks if newest else ()
