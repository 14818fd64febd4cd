"""Failures that were mended since are not shown; a training that runs is not due."""

from __future__ import annotations

from datetime import timedelta

from lakeloop.stages.frame.activity import failed, running
from lakeloop.stages.frame.pending import Standing, pending_work
from lakeloop.tracking.activity import Activity
from tests.support.records import NOON
from tests.unit.stages.frame.test_pending import DAY, LOOP, NEXT, prepared, record

AFTER = NOON + timedelta(hours=1)
BEFORE = NOON - timedelta(hours=1)


def test_a_training_that_runs_is_not_due() -> None:
    entries = prepared(DAY)
    for stage in ("dataset", "train-baseline", "train-finetune-job", "train-finetune-trial", "evaluate"):
        at_work = [Activity(stage, DAY, "running", NOON)]
        assert pending_work(Standing(LOOP, entries, None, activities=at_work)) == []
    for activity in (
        Activity("maintain", DAY, "running", NOON),
        Activity("train-baseline", DAY, "failed", NOON),
    ):
        (due,) = pending_work(Standing(LOOP, entries, None, activities=[activity]))
        assert due.stage == "train"


def test_a_training_is_shown_once_whether_its_task_lives_or_only_its_process() -> None:
    task, process = (
        Activity(name, DAY, "running", NOON) for name in ("train-finetune", "train-finetune-job")
    )
    for found in ([task, process], [process], [task]):
        (shown,) = running(found)
        assert (shown.stage, shown.partition) == ("train-finetune", DAY)
    assert running([Activity("a-stage-of-before", DAY, "running", NOON)]) == ()


def test_a_failure_is_shown_until_the_same_work_ends_well() -> None:
    done = prepared(DAY)
    early, late = (Activity("validate", DAY, "failed", at, "checks failed") for at in (BEFORE, AFTER))
    assert failed([early], done) == ()
    assert [(each.stage, each.reason) for each in failed([late], done)] == [("validate", "checks failed")]
    other_day = Activity("validate", NEXT, "failed", BEFORE)
    assert [each.partition for each in failed([other_day], done)] == [NEXT], "each day has to be mended"


def test_a_later_training_overtakes_the_failure_of_an_earlier_one() -> None:
    broken = Activity("train-baseline", DAY, "failed", BEFORE)
    assert len(failed([broken], [])) == 1
    assert failed([broken], [record("train-baseline", NEXT)]) == ()


def test_the_process_of_a_training_fails_with_its_task() -> None:
    for name in ("train-baseline-job", "train-baseline-trial"):
        assert failed([Activity(name, DAY, "failed", AFTER)], []) == ()


def test_an_experiment_that_runs_keeps_nothing_of_production_waiting() -> None:
    at_work = [Activity(f"{name}@fast", DAY, "running", NOON) for name in ("train-finetune", "evaluate")]
    process = Activity("train-finetune@fast-job", DAY, "running", NOON)
    (due,) = pending_work(Standing(LOOP, prepared(DAY), None, activities=[*at_work, process]))
    assert due.stage == "train"
    assert [each.stage for each in running([process])] == ["train-finetune@fast"]


def test_the_failure_of_an_experiment_is_overtaken_by_production_and_not_the_other_way_round() -> None:
    tried, broken = (Activity(f"train-baseline{of}", DAY, "failed", BEFORE) for of in ("@fast", ""))
    assert len(failed([tried], [])) == 1
    assert failed([tried], [record("train-baseline", NEXT)]) == ()
    assert failed([tried], [record("train-baseline@fast", NEXT)]) == ()
    assert len(failed([tried, broken], [record("train-baseline@slow", NEXT)])) == 2
    assert failed([broken], [record("train-baseline@fast", NEXT)])[0].stage == "train-baseline"


def test_after_a_reset_of_its_day_a_failure_is_none_whatever_stage_it_was() -> None:
    broken = [Activity("validate", day, "failed", BEFORE, "checks failed") for day in (DAY, NEXT)]
    reset = record("ingest", DAY).model_copy(update={"status": "reset"})
    assert [each.partition for each in failed(broken, [reset])] == [NEXT]
    assert len(failed([Activity("validate", DAY, "failed", AFTER)], [reset])) == 1
