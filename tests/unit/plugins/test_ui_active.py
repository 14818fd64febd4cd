"""Runs of Airflow that are at work: what they are about to do calls for nobody."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from airflow import settings as airflow_settings
from airflow.models import DagModel, DagRun, import_all_models
from airflow.models.asset import AssetPartitionDagRun
from airflow.models.base import Base
from airflow.models.dagbundle import DagBundleModel
from airflow.utils.session import create_session
from airflow.utils.types import DagRunType
from fastapi.testclient import TestClient
from lakeloop_ui.active import Run, active_runs
from sqlalchemy import delete

from lakeloop.records import now
from lakeloop.settings import Settings
from lakeloop.stages.frame.pending import Pending
from lakeloop.stages.frame.session import StageContext

DAY, NEXT = "2026-11-18", "2026-11-19"
MODELS = (AssetPartitionDagRun, DagRun, DagModel, DagBundleModel)


@pytest.fixture
def airflow() -> Iterator[None]:
    """Airflow's tables of DAGs and runs: the DAGs of `news` are on, `news.score` is paused."""
    import_all_models()
    Base.metadata.create_all(airflow_settings.engine)
    try:
        add(DagBundleModel(name="dags"))
        for dag in ("ingest", "transform", "train", "deploy", "score"):
            add(DagModel(dag_id=f"news.{dag}", is_paused=dag == "score", bundle_name="dags"))
        yield
    finally:
        with create_session(scoped=False) as session:
            for model in MODELS:
                session.execute(delete(model))


def add(row: Any) -> Any:
    with create_session(scoped=False) as session:
        session.add(row)
        session.flush()
        return getattr(row, "id", None)


def run(dag: str, state: str, day: str | None = None, **conf: str) -> Any:
    named = {"dag_id": f"news.{dag}", "run_id": f"{dag}_{state}", "run_type": DagRunType.MANUAL}
    return add(DagRun(**named, state=state, partition_key=day, run_after=now(), conf=conf))


def told(dag: str, **values: Any) -> None:
    add(AssetPartitionDagRun(target_dag_id=f"news.{dag}", partition_key=DAY, **values))


@pytest.mark.parametrize(
    ("active", "step", "done"),
    [
        (Run("transform", DAY), "validate", True),
        (Run("ingest", DAY), "transform", True),
        (Run("ingest", NEXT), "transform", False),
        (Run("ingest", ""), "transform", True),
        (Run("ingest", NEXT), "train", True),
        (Run("train", DAY), "release", True),
        (Run("deploy", DAY), "rollout", True),
        (Run("deploy", NEXT), "release", False),
        (Run("deploy", DAY), "train", False),
        (Run("monitor", DAY), "train", False),
        (Run("search_of_before", DAY), "train", False),
    ],
)
def test_a_run_comes_to_what_its_dag_does_and_to_what_follows_by_assets(
    active: Run, step: str, done: bool
) -> None:
    assert active.will_do(Pending(step, DAY, "")) is done


@pytest.mark.usefixtures("airflow")
def test_active_are_runs_that_can_go_on_and_those_that_assets_ask_for() -> None:
    run("ingest", "running", DAY)
    run("transform", "queued", partition=NEXT)
    made = run("train", "success", DAY)
    run("score", "queued", DAY)
    told("train")
    told("deploy", updated_at=now() - timedelta(hours=1))
    told("deploy", created_dag_run_id=made)
    assert set(active_runs(["news"])["news"]) == {
        Run("ingest", DAY),
        Run("transform", NEXT),
        Run("train", DAY),
    }
    assert active_runs(["other"]) == {}


@pytest.mark.usefixtures("airflow", "settings")
def test_a_loop_that_was_just_started_is_at_work_and_not_to_be_started(client: TestClient) -> None:
    assert (
        "Start it" in client.get("/loops/news").text or "Turn its DAGs on" in client.get("/loops/news").text
    )
    run("ingest", "queued", DAY)
    page = client.get("/loops/news").text
    assert "At work in Airflow: ingest; nothing has ended yet." in page
    assert "never ran" not in page
    assert "DAGs on and trigger" not in page


@pytest.mark.usefixtures("airflow")
def test_what_waits_between_two_tasks_of_a_run_calls_for_nobody(
    client: TestClient, settings: Settings, ran: StageContext
) -> None:
    assert "needs attention" in client.get("/").text
    run("transform", "running", DAY)
    assert "transform 2026-11-18 waits" not in client.get("/").text
    run("ingest", "running")  # of the days that follow
    for address in ("/", "/loops/news"):
        page = client.get(address).text
        assert "needs attention" not in page
        assert "At work in Airflow: ingest, transform." in page
        assert "left to do" not in page
