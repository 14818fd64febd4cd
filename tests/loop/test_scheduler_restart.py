"""A scheduler that dies during a training is started again, and costs neither that training nor another."""

from __future__ import annotations

import os
import signal
import time

import pytest

from lakeloop.jobs.state import JobRecord
from lakeloop.local.airflow_api import ACTIVE_STATES
from lakeloop.local.processes import Component
from lakeloop.local.state import StackFile
from tests.support.stack import RunningStack

pytestmark = [pytest.mark.slow, pytest.mark.stack, pytest.mark.timeout(900)]

RATE = 0.000123
"""Of this test's training alone: the baseline does not know the key, and is not trained again."""
PATIENCE_SECONDS = 400.0


def finetunes(running: RunningStack) -> dict[str, JobRecord]:
    """The fine-tunes at this test's learning rate, by folder."""
    found = {}
    for spec in running.settings.home.glob("work/news/train-finetune/*/job-*/spec.json"):
        record = spec.with_name("job.json")
        if str(RATE) in spec.read_text() and record.exists():
            found[str(spec.parent)] = JobRecord.model_validate_json(record.read_bytes())
    return found


def test_a_scheduler_killed_during_training_does_not_train_twice(stack: RunningStack) -> None:
    day = stack.partitions[-1]
    with stack.api() as api:
        assert api.dag_ids("news")
        if stack.context.lake.ledger.latest("validate", day) is None:
            pytest.fail("the loop's own tests, which run before, left no mart to train from")
        api.set_paused("news.train", paused=False)
        run_id = api.trigger(
            "news.train",
            day,
            {"force": True, "train.learning_rate": RATE, "train.epochs": 4, "train.patience": 4},
        )
        before = _wait_for_training(stack)

        killed = scheduler(stack)
        os.killpg(killed.pid, signal.SIGKILL)
        again = _wait_for_another(stack, killed)

        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            run = next(run for run in api.runs(["news.train"]) if run["dag_run_id"] == run_id)
            if run["state"] not in ACTIVE_STATES:
                break
            time.sleep(1)
        tasks = {task["task_id"]: task for task in api.tasks("news.train", run_id)}
    assert run["state"] == "success", tasks
    told = (stack.settings.home / "logs/watcher.log").read_text()
    assert f"scheduler (process {killed.pid}) has died" in told
    assert f"scheduler started again as process {again.pid}, attempt 1 of" in told
    assert scheduler(stack) == again, "it was started once"
    after = finetunes(stack)
    assert list(after) == list(before), "one training was asked for"
    (folder,) = after
    assert after[folder].state == "succeeded"
    assert after[folder].process == before[folder].process, "the same process trained from start to end"
    assert after[folder].started_at == before[folder].started_at


def scheduler(running: RunningStack) -> Component:
    """The scheduler that is written down now; the stack of the fixture is the one that was started."""
    stack = StackFile(running.settings).read()
    assert stack is not None
    return stack.component("scheduler")


def _wait_for_another(running: RunningStack, killed: Component) -> Component:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (found := scheduler(running)) == killed:
        assert time.monotonic() < deadline, "the watcher did not start it again"
        time.sleep(0.2)
    assert found.alive
    return found


def _wait_for_training(running: RunningStack) -> dict[str, JobRecord]:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        found = finetunes(running)
        if any(record.state == "running" and record.process for record in found.values()):
            return found
        time.sleep(0.2)
    raise AssertionError("no fine-tune began")
