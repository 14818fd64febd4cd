"""The two tasks that only look: is a training due, and what did nobody do."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowSkipException, DownstreamTasksSkipped
from lakeloop_airflow.stage_task import StageOperator
from lakeloop_airflow.training import PlanOperator
from lakeloop_airflow.upkeep import PendingOperator
from lakeloop_airflow.window import RECORD_KEY, partition_in

from lakeloop.attempt import Attempt
from lakeloop.errors import ConfigurationError
from lakeloop.records import Counts
from lakeloop.settings import Settings
from lakeloop.spec.identity import training_identity
from lakeloop.stages.frame.session import StageContext
from tests.support.task import Task

OLD, NEWEST = "2026-11-18", "2026-11-20"
"""The day that the runs here are about, and a later one, the last of the corpus."""


def context_of(task: Task, operator: Any, **params: Any) -> Any:
    run = SimpleNamespace(
        dag_id="news.train",
        run_id="manual__1",
        partition_key=OLD,
        run_after=datetime(2026, 11, 22, tzinfo=UTC),
    )
    return {"ti": task, "dag_run": run, "params": params, "task": operator}


@pytest.fixture
def ingested(settings: Settings) -> None:
    """The last day of the corpus was ingested and never transformed."""
    context = StageContext.open("news", settings, Attempt("news.ingest:1"))
    with context.stage("ingest", NEWEST) as stage:
        stage.done(reason="", outputs={"raw": "0" * 64}, counts=Counts(read=4, accepted=4))


def plan_in_a_dag() -> PlanOperator:
    with DAG("news.train", schedule=None):
        plan = PlanOperator(loop="news")
        plan >> StageOperator(loop="news", stage="dataset") >> StageOperator(loop="news", stage="evaluate")
    return plan


def test_a_training_that_is_not_due_skips_everything_behind_the_plan_and_says_why(ingested: None) -> None:
    plan, task = plan_in_a_dag(), Task()
    with pytest.raises(DownstreamTasksSkipped) as skipped:
        plan.execute(context_of(task, plan, force=False))
    assert sorted(skipped.value.tasks) == ["dataset", "evaluate"]
    assert task.pushed[RECORD_KEY]["status"] == "skipped"
    assert "training needs" in task.pushed[RECORD_KEY]["reason"]


def test_a_training_asked_for_by_hand_goes_on_and_still_says_what_the_plan_was(ingested: None) -> None:
    plan, task = plan_in_a_dag(), Task()
    plan.execute(context_of(task, plan, force=True))
    assert task.pushed[RECORD_KEY]["status"] == "done"
    assert task.pushed[RECORD_KEY]["reason"].startswith("asked for by hand, although: ")


def publish(settings: Settings, *days: str) -> StageContext:
    """`days` are in the mart, with enough rows for a training each."""
    context = StageContext.open("news", settings, Attempt("news.transform:1"))
    for day in days:
        with context.stage("validate", day) as stage:
            stage.done(reason="", outputs={"mart": f"digest of {day}"}, counts=Counts(read=900, accepted=900))
    return context


def evaluate(context: StageContext, day: str, *days: str) -> None:
    """A training of `day` on the rows of `days` went as far as the gate."""
    with context.stage("dataset", day) as stage:
        stage.inputs(**{f"mart/{each}": f"digest of {each}" for each in days})
        stage.done(reason="", outputs={"digest": "d1"})
    with context.stage("evaluate", day, config={"training": training_identity(context.loop)}) as stage:
        stage.inputs(dataset="d1")
        stage.done(reason="")


def test_an_old_day_that_comes_after_a_newer_one_is_trained_on_with_it(settings: Settings) -> None:
    publish(settings, NEWEST, OLD)
    plan, task = plan_in_a_dag(), Task()
    plan.execute(context_of(task, plan))
    planned = task.pushed[RECORD_KEY]
    assert (planned["status"], planned["partition"]) == ("done", NEWEST)
    assert planned["reason"].startswith(
        f"{OLD} is published; the newest day is {NEWEST}: first training: 1800 rows published in 2"
    )
    behind = [each for each in plan.dag.tasks if each is not plan]
    assert [partition_in(context_of(task, each), "UTC") for each in behind] == [NEWEST, NEWEST]
    assert partition_in(context_of(task, plan), "UTC") == OLD


def test_the_events_of_a_backfill_train_once(settings: Settings) -> None:
    evaluate(publish(settings, NEWEST, OLD), NEWEST, OLD, NEWEST)
    plan, task = plan_in_a_dag(), Task()
    with pytest.raises(DownstreamTasksSkipped):
        plan.execute(context_of(task, plan))
    assert task.pushed[RECORD_KEY]["reason"].startswith(f"nothing new since the training of {NEWEST}")


def test_a_candidate_that_was_trained_by_hand_is_evaluated_although_no_training_is_due(
    settings: Settings,
) -> None:
    context = publish(settings, OLD, NEWEST)
    evaluate(context, NEWEST, OLD, NEWEST)
    with context.stage("train-finetune", NEWEST) as stage:
        stage.inputs(dataset="d1")
        stage.done(reason="", outputs={"digest": "m2"})
    operator = PendingOperator(loop="news")
    due = {each["trigger_dag_id"]: each for each in operator.execute(context_of(Task(), operator))}
    assert due["news.train"]["conf"] == {"partition": NEWEST}
    plan, task = plan_in_a_dag(), Task()
    with pytest.raises(DownstreamTasksSkipped) as skipped:
        plan.execute(context_of(task, plan))
    assert list(skipped.value.tasks) == ["dataset"]
    planned = task.pushed[RECORD_KEY]
    assert (planned["status"], planned["partition"]) == ("done", NEWEST)
    assert planned["reason"].startswith(
        "trained and not evaluated: finetune; no training is due: nothing new"
    )


def test_who_asks_by_hand_for_an_old_day_gets_a_training_of_the_days_up_to_it(settings: Settings) -> None:
    publish(settings, NEWEST, OLD)
    plan, task = plan_in_a_dag(), Task()
    plan.execute(context_of(task, plan, force=True))
    planned = task.pushed[RECORD_KEY]
    assert planned["partition"] == OLD
    assert planned["reason"].startswith("asked for by hand, and: first training")


@pytest.mark.parametrize(("named", "day"), [(None, NEWEST), (OLD, OLD)])
def test_an_experiment_is_trained_whatever_is_due_on_the_newest_day_unless_one_is_named(
    settings: Settings, named: str | None, day: str
) -> None:
    evaluate(publish(settings, NEWEST, OLD), NEWEST, OLD, NEWEST)
    plan, task = plan_in_a_dag(), Task()
    context = context_of(task, plan, experiment="fast")
    context["dag_run"].partition_key = named
    plan.execute(context)
    planned = task.pushed[RECORD_KEY]
    assert (planned["status"], planned["partition"]) == ("done", day)
    assert planned["reason"].startswith("experiment fast; of production: nothing new since the training")


def test_the_tasks_of_an_experiment_work_under_its_name(settings: Settings) -> None:
    for params, name in (({"experiment": "fast"}, "evaluate@fast"), ({"experiment": None}, "evaluate")):
        operator, task = StageOperator(loop="news", stage="evaluate"), Task()
        with pytest.raises(AirflowSkipException, match="no data set was frozen"):
            operator.execute(context_of(task, operator, **params))
        context = StageContext.open("news", settings)
        assert context.lake.ledger.latest(name, OLD, "skipped") is not None
        assert f"/wandb/news/{name.replace('@', '%40')}/{OLD}/" in operator.urls["W&B run"]


def test_a_plan_for_an_experiment_of_no_name_is_refused_once(settings: Settings) -> None:
    publish(settings, NEWEST)
    plan = plan_in_a_dag()
    with pytest.raises(ConfigurationError, match="not a name for an experiment"):
        plan.execute(context_of(Task(), plan, experiment="../Fast"))


def test_a_plan_that_was_marked_as_done_by_hand_leaves_the_partition_of_the_run() -> None:
    plan = plan_in_a_dag()
    dataset = plan.dag.get_task("dataset")
    assert partition_in(context_of(Task(), dataset), "UTC") == OLD


def test_pending_work_becomes_the_trigger_of_the_dag_that_does_it(ingested: None) -> None:
    operator = PendingOperator(loop="news")
    (trigger,) = operator.execute(context_of(Task(), operator))
    assert trigger == {
        "trigger_dag_id": "news.transform",
        "trigger_run_id": f"maintenance__{NEWEST}__manual__1",
        "conf": {"partition": NEWEST},
        "note": f"4 raw rows of {NEWEST} are not transformed",
    }


@pytest.mark.parametrize(
    ("paused", "params", "reason"),
    [
        (frozenset({"news.transform"}), {}, "what is left is paused"),
        (frozenset(), {"dry_run": True}, r"dry run: 1 run\(s\) are left out"),
    ],
)
def test_paused_dags_and_dry_runs_trigger_nothing(
    ingested: None, paused: frozenset[str], params: dict[str, bool], reason: str
) -> None:
    operator = PendingOperator(loop="news")
    with pytest.raises(AirflowSkipException, match=reason):
        operator.execute(context_of(Task(paused), operator, **params))


def test_nothing_to_do_is_said(settings: Settings) -> None:
    operator = PendingOperator(loop="news")
    with pytest.raises(AirflowSkipException, match="nothing is left to do"):
        operator.execute(context_of(Task(), operator))
