"""What of a loop runs now, and which failures nobody has mended: from the journals, beside the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from lakeloop.records import EXPERIMENT, Frozen, StageRecord, experiment_of
from lakeloop.stages.catalogue import DATA, Stage, stage_named
from lakeloop.tracking.activity import Activity
from lakeloop.tracking.journal import JOB, TRIAL

_OF_PROCESSES = (JOB, TRIAL)
"""End the names under which a training's own process reports, and that of a trial."""


class StageActivity(Frozen):
    """One stage of one partition that runs, or that failed."""

    stage: str
    partition: str
    at: datetime
    """When it failed, or the newest sign of life."""
    reason: str = ""
    """Why it failed."""


def running(found: Iterable[Activity]) -> tuple[StageActivity, ...]:
    """What runs now, oldest sign of life first; a training is its task, or its process without the task."""
    at_work = {
        (name, activity.partition): StageActivity(stage=name, partition=activity.partition, at=activity.at)
        for activity in found
        if activity.state == "running" and _stage(name := _without_end(activity.stage))
    }
    return tuple(at_work.values())


def failed(found: Iterable[Activity], entries: Sequence[StageRecord]) -> tuple[StageActivity, ...]:
    """The failures with no later end of the same work in the ledger (`entries`), oldest first.

    The work of a stage on a day is done for that day, or is to be done anew after a reset of it; that of a
    training, a release or a look is overtaken by the same on any later day, and that of an experiment by
    production's too.
    """
    ended: dict[tuple[str, str], datetime] = {}
    for entry in entries:
        reset = DATA if entry.status == "reset" else ()  # of a day, whatever of it was recorded
        for key in (
            (entry.stage, entry.partition),
            (entry.stage, ""),
            *((name, entry.partition) for name in reset),
        ):
            ended[key] = max(ended.get(key, entry.provenance.finished_at), entry.provenance.finished_at)
    failures = []
    for activity in found:
        stage = _stage(activity.stage)
        if activity.state != "failed" or stage is None or activity.stage.endswith(_OF_PROCESSES):
            continue
        day = activity.partition if stage.phase == "data" else ""
        names = {activity.stage, activity.stage.partition(EXPERIMENT)[0]}
        if all(last is None or last < activity.at for last in (ended.get((name, day)) for name in names)):
            failures.append(
                StageActivity(
                    stage=activity.stage,
                    partition=activity.partition,
                    at=activity.at,
                    reason=activity.reason,
                )
            )
    return tuple(failures)


def is_training(activity: StageActivity) -> bool:
    """Whether `activity` is a part of a training that production waits for: of no experiment."""
    if experiment_of(activity.stage):
        return False
    stage = _stage(activity.stage)
    return stage is not None and stage.phase == "training"


def _without_end(name: str) -> str:
    for end in _OF_PROCESSES:
        name = name.removesuffix(end)
    return name


def _stage(name: str) -> Stage | None:
    """The stage of this name; None for one that an earlier version had."""
    try:
        return stage_named(name)
    except KeyError:
        return None
