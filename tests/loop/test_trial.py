"""A trial through the whole of Airflow: in no slot while it waits, and whole when the triggerer is killed."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lakeloop.local.drive import wait_for_dags
from lakeloop.registry.registry import Registry
from tests.support.live_requests import Requests
from tests.support.released import registered, released
from tests.support.stack import RunningStack

pytestmark = [pytest.mark.slow, pytest.mark.stack, pytest.mark.timeout(600)]
log = logging.getLogger(__name__)

DAG, DAY = "small.deploy", "2026-11-18"
LOOP = """
name: small
source:
  kind: files
  path: drops/{partition}.jsonl
  key: id
  columns: {id: string, text: string, label: string}
task: {text: text, label: label, labels: [business, sports, tech]}
deploy:
  canary: {shares: [0.5], requests: 40}
"""


def until(what: str, found: Callable[[], bool], seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(1)


def test_a_trial_waits_in_the_triggerer_outlives_it_and_ends_by_requests(
    stack: RunningStack, tmp_path: Path
) -> None:
    file = stack.settings.loop_file("small")
    file.parent.mkdir(parents=True)
    file.write_text(LOOP)
    context = stack.context_of("small")
    context.lake.bootstrap(context.loop)
    registry = Registry(context.lake)
    released(context, tmp_path, 1)
    registered(context, tmp_path, 2)
    registry.begin_trial("v2", "canary", 0.5, over="v1", reason="let in", cause="e2")
    with stack.api() as api:
        wait_for_dags(api, "small", log.info)
        api.set_paused(DAG, paused=False)
        run = api.trigger(DAG, DAY)

        def state(task: str) -> str:
            return str({each["task_id"]: each["state"] for each in api.tasks(DAG, run)}[task])

        until("the trial waits", lambda: state("trial") == "deferred")
        os.kill(stack.stack.component("triggerer").pid, signal.SIGKILL)  # the watcher starts it again
        Requests(context).ask(80, 0.5).write()
        until("it has ended", lambda: state("trial") in ("success", "failed"))
        assert state("trial") == "success"
        until("the roll-out", lambda: state("rollout") in ("success", "failed"))
        assert state("rollout") == "success"
    champion = registry.champion()
    assert champion is not None
    assert champion.name == "v2"
    assert [entry.status for entry in context.lake.ledger.entries("trial")] == ["done"]
