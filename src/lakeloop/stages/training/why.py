"""Why the next training would be skipped or run: the plan's word, and each candidate beside its last one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lakeloop.errors import DataError
from lakeloop.records import Frozen, StageRecord
from lakeloop.stages.catalogue import stage_named
from lakeloop.stages.frame.cost import budget_status, unfinished
from lakeloop.stages.frame.look import Look, look_at
from lakeloop.stages.frame.session import StageContext, StageSession
from lakeloop.stages.frame.why import Field, Why, explain, field, last_of, named
from lakeloop.stages.training.frozen import newest_dataset
from lakeloop.stages.training.order import training_on
from lakeloop.stages.training.plan import decide_training
from lakeloop.stages.training.train import made_before, name_inputs
from lakeloop.tracking.tracker import NoopTracker

_DATASET = "dataset"


class WhyTraining(Frozen):
    """What would come of a training now."""

    loop: str
    partition: str
    """The day whose data set is trained on; empty when no day is published."""
    due: bool
    """Whether one is started without being asked for."""
    decision: str
    """The plan's sentence on that."""
    budget: str = ""
    """What of the loop's budget is spent, and whether it forbids a training; empty without a budget."""
    candidates: tuple[Why, ...]


def why_training(context: StageContext, partition: str | None = None, candidate: str = "") -> WhyTraining:
    """Compare the next training, or that of the day `partition`, with the last; of one candidate or of all.

    Raises:
        ConfigurationError: there is no such candidate, or the base model or the training code is missing.
    """
    decision = decide_training(context)
    day = partition or decision.partition
    names = [each.name for each in context.loop.train.all_candidates]
    if candidate:
        names = [context.loop.train.candidate(candidate).name]
    budget = budget_status(
        context.loop, context.lake.ledger.entries(), unfinished(context.settings, context.loop.name)
    )
    forbidden = "; no training begins, also not by hand" if budget and budget.exhausted else ""
    return WhyTraining(
        budget=f"{budget.sentence}{forbidden}" if budget else "",
        loop=context.loop.name,
        partition=day,
        due=decision.train,
        decision=decision.reason,
        candidates=tuple(_why(context, day, name) for name in names) if day else (),
    )


def _why(context: StageContext, partition: str, name: str) -> Why:
    try:
        frozen = look_at(context, stage_named(_DATASET), partition)
    except DataError as error:  # rows that no data set can be made of
        return explain(Look(_session(context, partition, name, ""), skipped=f"would fail: {error}"))
    if frozen.skipped:
        session = _session(context, partition, name, "")
        return explain(Look(session, skipped=frozen.skipped))
    # An experiment does not wait for a data set of its own: it trains on the newest there is.
    made = newest_dataset(context, partition) if context.experiment else frozen.session.done_before()
    session = _session(context, partition, name, made.outputs["digest"] if made else "")
    last = last_of(session)
    days = tuple(_days(frozen.session, _dataset_of(context, last))) if last else ()
    found = explain(Look(session), same=made_before(session), extra=days)
    if made:
        return found
    # The digest is of rows that nobody has dealt yet: an equal one is possible where the days are others.
    fields = [each for each in found.fields if each.name != _DATASET]
    unknown = Field(name=_DATASET, then=last.inputs.get(_DATASET) if last else None, now=None, equal=None)
    different = [each.name for each in fields if each.equal is False]
    because = f", because of {named(different)}" if different else ""
    return found.model_copy(
        update={
            "verdict": "run",
            "reason": f"would run{because}: the data set of {partition} is not frozen yet",
            "fingerprint": "",
            "fields": (*fields, unknown) if last else (),
        }
    )


def _session(context: StageContext, partition: str, name: str, dataset: str) -> StageSession:
    """A training on the data set of this digest, that knows its inputs and is not begun."""
    order = training_on(context, name, "", dataset)
    session = StageSession(context, order.stage, partition, dict(order.config), Path(), NoopTracker())
    name_inputs(session, order)
    return session


def _dataset_of(context: StageContext, trained: StageRecord) -> StageRecord | None:
    """The record of the data set that a training was made from; None when a reset has hidden it."""
    names = dict.fromkeys((_DATASET, context.record_name(_DATASET)))
    made = [record for name in names for record in context.lake.ledger.entries(name, status="done")]
    wanted = trained.inputs.get(_DATASET)
    return next((record for record in reversed(made) if record.outputs["digest"] == wanted), None)


def _days(now: StageSession, then: StageRecord | None) -> Iterator[Field]:
    """The days of the mart that are others than those of the last training; nothing where all are as then."""
    days = now.named_inputs
    if then is None:
        yield Field(name="rows of the mart", then=None, now=f"{len(days)} day(s)", equal=None)
        return
    for name in sorted({*days, *then.inputs}):
        found = field(
            f"rows of {name.removeprefix('mart/')}",
            then.inputs.get(name, "not there"),
            days.get(name, "not there"),
        )
        if not found.equal:
            yield found
