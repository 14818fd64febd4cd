"""The task of a trial through a real Airflow: deferred, woken when there are requests, and acting once."""

from __future__ import annotations

from pathlib import Path

import pytest
from airflow.sdk import DAG
from lakeloop_airflow import waiting
from lakeloop_airflow.waiting import WaitingOperator

from lakeloop.registry.registry import Registry
from lakeloop.settings import get_settings
from lakeloop.stages.frame.session import StageContext
from tests.support.airflow import make_database, run_dag
from tests.support.live_requests import Requests
from tests.support.serving import open_project, register
from tests.support.serving import promote as make_champion

pytestmark = pytest.mark.slow


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StageContext:
    """Loop `news` with v2 as a canary of half beside v1."""
    opened = open_project(tmp_path)
    file = tmp_path / "loops/news/loop.yaml"
    file.write_text(f"{file.read_text()}  canary: {{shares: [0.5], requests: 40}}\n")
    monkeypatch.setenv("LAKELOOP_ROOT", str(tmp_path))
    context = StageContext.open("news", get_settings(root=tmp_path))
    assert opened.loop.name == context.loop.name
    make_champion(context, 1)
    version = register(context, 2)
    Registry(context.lake).begin_trial(version.name, "canary", 0.5, over="v1", reason="let in", cause="e")
    return context


def test_the_task_is_deferred_until_there_are_requests_and_then_makes_it_champion(
    context: StageContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_database()
    looks: list[str] = []
    look = waiting._look

    def looking(loop: str, stage: str) -> str:
        """As many requests as are wanted come after the second look of the trigger."""
        looks.append(look(loop, stage))
        if len(looks) == 2:
            Requests(context).ask(80, 0.5).write()
        return looks[-1]

    monkeypatch.setattr(waiting, "_look", looking)
    monkeypatch.setenv("LAKELOOP_TRIAL_LOOK_SECONDS", "1")
    with DAG("news.deploy", params={"partition": "2026-11-18"}, schedule=None) as dag:
        WaitingOperator(loop="news", stage="trial", retries=0)
    run = run_dag(dag)
    (task,) = run.get_task_instances()
    assert (run.state, task.state) == ("success", "success")
    assert [bool(look) for look in looks] == [True, True, False]
    champion = Registry(context.lake).champion()
    assert champion is not None
    assert champion.name == "v2"
    record = context.lake.ledger.latest("trial")
    assert record is not None
    assert (record.status, record.partition) == ("done", "2026-11-18")
    assert [entry.status for entry in context.lake.ledger.entries("trial")] == ["done"]
