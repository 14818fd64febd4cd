"""The task around a training: it submits once, comes back to what runs, and ends it only for a person."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from lakeloop_airflow.training import TrainOperator, slots_of, training_journal

from lakeloop import jobs
from lakeloop.errors import DataError
from lakeloop.jobs import JobSpec
from lakeloop.records import StageRecord
from tests.support.records import provenance
from tests.support.small_loop import small_loop

Order = Callable[..., JobSpec]

JOB = """
import json, pathlib, sys, time
path = pathlib.Path(sys.argv[sys.argv.index("--config") + 1])
order = json.loads(path.read_text())
with (path.parent.parent / "starts").open("a") as starts:
    starts.write("started\\n")
print("epoch 1", flush=True)
time.sleep(order["seconds"])
if order["exit"]:
    sys.exit(order["exit"])
(path.parent / "result.json").write_text("{}")
"""


@dataclass
class StateStore:
    """What Airflow keeps for a task over its tries."""

    kept: dict[str, Any] = field(default_factory=dict)

    def get(self, key: str) -> Any:
        return self.kept.get(key)

    def set(self, key: str, value: Any) -> None:
        self.kept[key] = value


@pytest.fixture
def order(tmp_path: Path) -> Iterator[Order]:
    package = tmp_path / "root" / "sample_trainings"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "one.py").write_text(JOB)
    made: list[JobSpec] = []

    def make(name: str = "job", seconds: float = 0, exit_code: int = 0) -> JobSpec:
        config = {"seconds": seconds, "exit": exit_code, "name": name}
        spec = JobSpec(
            job="sample_trainings.one", config=config, workdir=tmp_path / name, root=package.parent, threads=1
        )
        made.append(spec)
        return spec

    yield make
    for spec in made:
        jobs.cancel(str(spec.workdir))


def attempt(spec: JobSpec, store: StateStore) -> TrainOperator:
    """A try of the task that is to do `spec`, as far as the wait for the job."""
    operator = TrainOperator(loop="news", candidate="finetune")
    operator.job = spec
    operator.execute_resumable({"task_state_store": store})  # type: ignore[typeddict-item]
    return operator


def starts(spec: JobSpec) -> int:
    return len((spec.workdir.parent / "starts").read_text().splitlines())


def test_a_retry_comes_back_to_the_running_job_and_sees_its_whole_log(
    order: Order, capsys: pytest.CaptureFixture[str]
) -> None:
    spec, store = order(seconds=1), StateStore()
    store.set("lakeloop_job", jobs.submit(spec))
    operator = attempt(spec, store)
    assert operator.job_id == str(spec.workdir)
    assert starts(spec) == 1
    assert "epoch 1" in capsys.readouterr().out


def test_a_retry_after_success_was_recorded_starts_nothing(order: Order) -> None:
    spec, store = order(), StateStore()
    attempt(spec, store)
    assert attempt(spec, store).job_id == str(spec.workdir)
    assert starts(spec) == 1


def test_the_job_is_found_by_its_folder_when_airflow_lost_its_id(order: Order) -> None:
    spec = order(seconds=1)
    jobs.submit(spec)
    attempt(spec, StateStore())
    assert starts(spec) == 1


def test_bad_data_is_an_error_that_is_not_retried_and_a_new_try_starts_anew(order: Order) -> None:
    spec, store = order(exit_code=65), StateStore()
    for _ in range(2):
        with pytest.raises(DataError):
            attempt(spec, store)
    assert starts(spec) == 2


def test_a_cleared_task_with_another_order_does_not_take_the_old_job_for_its_own(order: Order) -> None:
    old, new, store = order("old"), order("new"), StateStore()
    attempt(old, store)
    assert attempt(new, store).job_id == str(new.workdir)
    assert jobs.status(str(new.workdir)).state == "succeeded"


@dataclass
class TaskInstance:
    """A task of which Airflow says `state`, or nothing when that is None."""

    state: str | None
    dag_id: str = "news.train"
    run_id: str = "manual__1"
    task_id: str = "finetune"
    map_index: int = -1

    def get_task_states(self, dag_id: str, task_ids: list[str], run_ids: list[str]) -> dict[str, Any]:
        if self.state is None:
            raise ConnectionError("no answer")
        assert dag_id == self.dag_id
        return {run_id: dict.fromkeys(task_ids, self.state) for run_id in run_ids}


def kill_while_watching(spec: JobSpec, state: str | None) -> str:
    """Kill the task as Airflow does when it takes it for `state`; what becomes of the job."""
    operator = TrainOperator(loop="news", candidate="finetune")
    operator.task_instance = TaskInstance(state)  # type: ignore[assignment]
    operator.job, operator.job_id = spec, jobs.submit(spec)
    operator.on_kill()
    return jobs.status(operator.job_id).state


@pytest.mark.parametrize("state", ["failed", "success"])
def test_a_person_who_ends_the_task_ends_the_training(order: Order, state: str) -> None:
    assert kill_while_watching(order(seconds=60), state) == "failed"


@pytest.mark.parametrize("state", ["running", "up_for_retry", None])
def test_a_task_that_airflow_takes_away_leaves_the_training_to_its_next_try(
    order: Order, state: str | None
) -> None:
    assert kill_while_watching(order(seconds=60), state) == "running"


def test_a_task_that_is_killed_before_it_submitted_ends_nothing() -> None:
    TrainOperator(loop="news", candidate="finetune").on_kill()


@pytest.mark.parametrize(
    ("links", "expected"),
    [
        (
            {"training_run": "/journals/news/train-finetune-job/2026-11-18/job-1-20261118T1.jsonl"},
            Path("/journals/news/train-finetune-job/2026-11-18/job-1-20261118T1.jsonl"),
        ),
        ({"log": "/journals/job.log"}, None),
    ],
    ids=["with a training", "of an earlier version"],
)
def test_the_links_of_a_training_lead_to_the_journal_with_its_epochs(
    links: dict[str, str], expected: Path | None
) -> None:
    record = StageRecord(
        loop="news", stage="train-finetune", partition="2026-11-18", status="done", reason="trained",
        links=links, provenance=provenance(),
    )  # fmt: skip
    assert training_journal(record) == expected


@pytest.mark.parametrize(
    ("keys", "slots"),
    [
        ({}, (1, 1)),
        ({"launcher": "torchrun", "processes": 3}, (1, 3)),
        ({"launcher": "torchrun", "processes": 8}, (1, 4)),
        ({"launcher": "torchrun"}, (1, 4)),
        ({"launcher": "torchrun", "processes": 4, "devices": 2}, (2, 2)),
        ({"devices": 0}, (1, 1)),
    ],
    ids=str,
)
def test_a_training_takes_a_slot_of_the_pool_for_each_of_its_devices(
    keys: dict[str, Any], slots: tuple[int, int]
) -> None:
    """The head is fitted in one process whatever the launcher; never more slots than the pool has."""
    train = small_loop(train=keys).train
    assert tuple(slots_of(train, each, 4) for each in train.all_candidates) == slots
    assert [slots_of(train, each, 1) for each in train.all_candidates] == [1, 1]
