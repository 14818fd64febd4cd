"""Candidates that were trained, most often by hand, and that no evaluation has looked at."""

from __future__ import annotations

from lakeloop.stages.catalogue import stage_named
from lakeloop.stages.frame.activity import is_training, running
from lakeloop.stages.frame.pending import Pending, Standing
from lakeloop.stages.frame.session import StageContext
from lakeloop.stages.training.plan import decide_from
from lakeloop.tracking.activity import activities_of


def waiting(context: StageContext, stage: str) -> Pending | None:
    """What `waiting_in` finds now; the source is not asked."""
    activities = activities_of(context.settings.journals, context.loop.name)
    entries = context.lake.ledger.entries()
    return waiting_in(Standing(context.loop, entries, None, activities=activities), stage)


def waiting_in(standing: Standing, stage: str) -> Pending | None:
    """The newest candidates wait for `stage`, their evaluation; None where none does, or a training runs.

    A training that is due on another day overtakes them.
    """
    if any(is_training(activity) for activity in running(standing.activities)):
        return None
    partition, names = _not_in(standing, stage)
    if not names:
        return None
    decision = decide_from(standing.loop, standing.entries, standing.new_rows, standing.unfinished)
    if decision.train and decision.partition != partition:
        return None
    return Pending(stage, partition, f"trained and not evaluated: {', '.join(names)}")


def _not_in(standing: Standing, stage: str) -> tuple[str, list[str]]:
    """The day of the newest training, and the candidates of its data set that stood in no evaluation."""
    train = stage_named("train")
    records = {train.record_name(each.name): each.name for each in standing.loop.train.all_candidates}
    done = [entry for entry in standing.entries if entry.status == "done"]
    partition = next((entry.partition for entry in reversed(done) if entry.stage in records), "")
    of_day = {entry.stage: entry for entry in done if entry.partition == partition}
    if (dataset := of_day.get("dataset")) is None:
        return partition, []
    stood = [entry.inputs for entry in done if entry.stage == stage and entry.partition == partition]
    return partition, [
        name
        for record, name in records.items()
        if (found := of_day.get(record))
        and found.inputs.get("dataset") == dataset.outputs["digest"]
        and all(inputs.get(name) != found.outputs["digest"] for inputs in stood)
    ]
