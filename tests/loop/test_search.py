"""A search through a real scheduler: its trials are mapped tasks, and one of them loses its worker."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import psutil
import pytest
import yaml

from lakeloop.jobs.state import JobRecord
from lakeloop.local.airflow_api import ACTIVE_STATES, AirflowApi
from lakeloop.search.stored import search_of
from lakeloop.stages.catalogue import DATA, stage_named
from tests.support.stack import RunningStack

pytestmark = [pytest.mark.slow, pytest.mark.stack, pytest.mark.timeout(900)]

PATIENCE_SECONDS = 400.0
TRIALS = 3
SEARCH = {
    "space": {"learning_rate": {"low": 1e-5, "high": 1e-3, "log": True}, "epochs": [1, 2]},
    "trials": TRIALS,
    "keep": 2,
}
Found = TypeVar("Found")


@pytest.fixture(scope="module")
def searching(stack: RunningStack) -> Iterator[RunningStack]:
    """The loop `news` with a search in its file, and days that are published."""
    for day in stack.partitions:
        for name in DATA:
            if stack.context.lake.ledger.latest(name, day) is None:
                stage_named(name).function(stack.context, day)
    file = stack.settings.loop_file("news")
    before = file.read_text()
    spec = yaml.safe_load(before)
    spec["train"]["search"] = SEARCH
    file.write_text(yaml.safe_dump(spec, sort_keys=False))
    yield stack
    file.write_text(before)


def wait_for(look: Callable[[], Found], what: str) -> Found:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := look()):
        assert time.monotonic() < deadline, f"{what} did not come"
        time.sleep(0.3)
    return found


def test_a_killed_worker_costs_the_search_no_trial(searching: RunningStack) -> None:
    day = searching.partitions[-1]
    with searching.api() as api:
        run_id = started(api, day)

        def trials(state: str) -> list[dict[str, Any]]:
            tasks = api.tasks("news.train", run_id)
            return [t for t in tasks if t["task_id"] == "finetune_trial" and t["state"] == state]

        def at_work() -> tuple[dict[str, Any], JobRecord] | None:
            running, job = trials("running"), job_at_work(searching, day)
            return (running[0], job) if running and job else None

        task, job = wait_for(at_work, "a trial at work")
        kill(task, job)
        wait_for(lambda: not is_active(api, run_id), "the end of the run")
        (run,) = (run for run in api.runs(["news.train"]) if run["dag_run_id"] == run_id)
        tasks = api.tasks("news.train", run_id)
    assert run["state"] == "success", [(t["task_id"], t["state"]) for t in tasks]
    mapped = {t["map_index"]: t for t in tasks if t["task_id"] == "finetune_trial"}
    assert {index: t["state"] for index, t in mapped.items()} == dict.fromkeys(range(TRIALS), "success")
    assert mapped[task["map_index"]]["try_number"] > 1, "its task was tried again"
    assert {t["pool"] for t in mapped.values()} == {"gpu"}

    record = searching.context.lake.ledger.latest("train-finetune", day, "done")
    assert record is not None
    found = search_of(searching.context.lake.files, record)
    assert found is not None
    assert len(found.trials) == TRIALS, "the trial of the killed worker was gone on with"
    assert {trial.state for trial in found.trials} <= {"complete", "pruned"}
    evaluated = searching.context.lake.ledger.latest("evaluate", day, "done")
    assert evaluated is not None
    assert {f"{name}/macro_f1" for name in ("baseline", "finetune", "finetune_2")} <= set(evaluated.metrics)


def test_the_same_search_again_has_no_trials(searching: RunningStack) -> None:
    with searching.api() as api:
        run_id = api.trigger("news.train", searching.partitions[-1], {"force": True})
        wait_for(lambda: not is_active(api, run_id), "the end of the run")
        states = {t["task_id"]: t["state"] for t in api.tasks("news.train", run_id)}
    assert states["finetune_slots"] == "success"
    assert states["finetune_trial"] == states["finetune"] == "skipped"


def started(api: AirflowApi, day: str) -> str:
    """A run of the DAG with tasks for trials: Airflow reads the loop file anew every few seconds."""
    wait_for(lambda: "news.train" in api.dag_ids("news"), "the DAG")
    api.set_paused("news.train", paused=False)

    def searches() -> bool:
        tasks = api._get("/api/v2/dags/news.train/tasks")["tasks"]
        return any(task["task_id"] == "finetune_trial" for task in tasks)

    api.read_dag_files()
    wait_for(searches, "the DAG with a search")
    return api.trigger("news.train", day, {"force": True})


def is_active(api: AirflowApi, run_id: str) -> bool:
    return any(
        run["dag_run_id"] == run_id and run["state"] in ACTIVE_STATES for run in api.runs(["news.train"])
    )


def job_at_work(searching: RunningStack, day: str) -> JobRecord | None:
    for path in searching.settings.home.glob(f"work/news/train-finetune/{day}/job-trial-*/job.json"):
        with contextlib.suppress(ValueError, FileNotFoundError):
            record = JobRecord.model_validate_json(path.read_bytes())
            if record.state == "running" and record.process is not None:
                return record
    return None


def kill(task: dict[str, Any], job: JobRecord) -> None:
    """What a machine that is gone takes with it: the task's process, the job's runner, the job."""
    for process in psutil.process_iter(["cmdline"]):
        if task["id"] in " ".join(process.info["cmdline"] or ()):
            os.kill(process.pid, signal.SIGKILL)
    for identity in (job.runner, job.process):
        if identity is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(identity.pid, signal.SIGKILL)
