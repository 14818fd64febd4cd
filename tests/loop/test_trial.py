"""A trial through the whole of Airflow: in no slot while it waits, and whole when the triggerer is killed."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lakeloop.gate.decide import Decision
from lakeloop.local import stack as local_stack
from lakeloop.local.airflow_api import AirflowApi
from lakeloop.local.airflow_env import free_port
from lakeloop.local.drive import wait_for_dags
from lakeloop.registry.history import ModelCard
from lakeloop.registry.registry import Registry
from lakeloop.settings import get_settings
from lakeloop.stages.frame.session import StageContext
from tests.support.artifacts import make_artifact
from tests.support.live_requests import Requests
from tests.support.stack import ROOT, own_dbt

pytestmark = pytest.mark.slow
log = logging.getLogger(__name__)

DAG, DAY = "small.deploy", "2026-11-18"
LABELS = ("business", "sports", "tech")
LOOP = f"""
name: small
source:
  kind: files
  path: drops/{{partition}}.jsonl
  key: id
  columns: {{id: string, text: string, label: string}}
task: {{text: text, label: label, labels: [{", ".join(LABELS)}]}}
deploy:
  canary: {{shares: [0.5], requests: 40}}
"""


def until(what: str, found: Callable[[], bool], seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(1)


def test_a_trial_waits_in_the_triggerer_outlives_it_and_ends_by_requests(tmp_path: Path) -> None:
    ports = free_port(), free_port()
    file = tmp_path / "loops/small/loop.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(LOOP)
    settings = get_settings(
        root=ROOT,
        home=tmp_path / "home",
        loops=tmp_path / "loops",
        dbt=own_dbt(tmp_path),
        data_roots=(tmp_path / "data",),
        airflow_url=f"http://127.0.0.1:{ports[0]}",
        server_url=f"http://127.0.0.1:{ports[1]}",
    )
    context = StageContext.open("small", settings)
    registry = Registry(context.lake)
    decision = Decision(accepted=None, reason="for a test", checks=())
    card = ModelCard(candidate="baseline", method="keywords", dataset_digest="0" * 64, decision=decision)
    for seed in (1, 2):
        make_artifact(tmp_path / str(seed), LABELS, loop="small", seed=seed)
        registry.register(tmp_path / str(seed), card)
    registry.promote("v1", over=None, reason="first", cause="e1")
    registry.begin_trial("v2", "canary", 0.5, over="v1", reason="let in", cause="e2")
    stack = local_stack.start(settings, say=log.info, ports=ports)
    try:
        with AirflowApi(stack.airflow_url) as api:
            wait_for_dags(api, "small", log.info)
            api.set_paused(DAG, paused=False)
            run = api.trigger(DAG, DAY)

            def state(task: str) -> str:
                return str({each["task_id"]: each["state"] for each in api.tasks(DAG, run)}[task])

            until("the trial waits", lambda: state("trial") == "deferred")
            os.kill(stack.component("triggerer").pid, signal.SIGKILL)  # the watcher starts it again
            Requests(context).ask(80, 0.5).write()
            until("it has ended", lambda: state("trial") in ("success", "failed"))
            assert state("trial") == "success"
            until("the roll-out", lambda: state("rollout") in ("success", "failed"))
            assert state("rollout") == "success"
    finally:
        local_stack.stop(settings)
    champion = registry.champion()
    assert champion is not None
    assert champion.name == "v2"
    assert [entry.status for entry in context.lake.ledger.entries("trial")] == ["done"]
