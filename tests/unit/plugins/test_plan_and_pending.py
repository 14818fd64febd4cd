"""The two tasks that only look: is a training due, and what did nobody do."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, get_args, get_type_hints

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowSkipException, DownstreamTasksSkipped
from lakeloop_airflow.stage_task import DAG_OF, RECORD_KEY, STAGES, StageOperator
from lakeloop_airflow.training import PlanOperator
from lakeloop_airflow.upkeep import PendingOperator

from lakeloop.attempt import Attempt
from lakeloop.records import Counts
from lakeloop.settings import Settings
from lakeloop.stages.progress import Pending, StageName
from lakeloop.stages.session import StageContext


@dataclass
class Task:
    """A task instance; the DAGs in `paused` are."""

    paused: frozenset[str] = frozenset()
    try_number: int = 1
    map_index: int = -1
    pushed: dict[str, Any] = field(default_factory=dict)

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value

    def get_dag(self, dag_id: str) -> SimpleNamespace:
        return SimpleNamespace(is_paused=dag_id in self.paused)


def context_of(task: Task, operator: Any, **params: Any) -> Any:
    run = SimpleNamespace(
        dag_id="news.train",
        run_id="manual__1",
        partition_key="2026-11-18",
        run_after=datetime(2026, 11, 22, tzinfo=UTC),
    )
    return {"ti": task, "dag_run": run, "params": params, "task": operator}


@pytest.fixture
def ingested(settings: Settings) -> None:
    """A day that was ingested and never transformed."""
    context = StageContext.open("news", settings, Attempt("news.ingest:1"))
    with context.stage("ingest", "2026-11-18") as stage:
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


def test_pending_work_becomes_the_trigger_of_the_dag_that_does_it(ingested: None) -> None:
    operator = PendingOperator(loop="news")
    (trigger,) = operator.execute(context_of(Task(), operator))
    assert trigger == {
        "trigger_dag_id": "news.transform",
        "trigger_run_id": "maintenance__2026-11-18__manual__1",
        "conf": {"partition": "2026-11-18"},
        "note": "4 raw rows of 2026-11-18 are not transformed",
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


def test_every_stage_that_is_shown_or_can_be_pending_has_a_dag() -> None:
    pending = get_args(get_type_hints(Pending)["stage"])
    assert pending
    assert {*pending, *get_args(StageName), *STAGES} <= set(DAG_OF)
