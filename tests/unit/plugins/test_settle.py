"""How the end of a stage becomes the end of a task: green, skipped, with or without an asset event."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException
from airflow.sdk.execution_time.context import OutletEventAccessors
from lakeloop_airflow.assets import loop_assets
from lakeloop_airflow.stage_task import StageOperator, settle
from lakeloop_airflow.window import RECORD_KEY

from lakeloop.records import BuiltModel, Counts, StageRecord, Status
from tests.support.records import provenance

RAW = loop_assets("news").raw


@dataclass
class Task:
    """A task instance that keeps what is pushed."""

    pushed: dict[str, Any] = field(default_factory=dict)

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


def record(status: Status, run_id: str = "news.ingest:earlier", stage: str = "ingest") -> StageRecord:
    return StageRecord(
        loop="news",
        stage=stage,
        partition="2026-11-18",
        status=status,
        reason="because of 3 lines",
        fingerprint="f" * 64,
        outputs={"raw": "d" * 64, "answers": "x" * 5000},
        counts=Counts(read=3, accepted=3),
        metrics={"share": 0.5},
        provenance=provenance(run_id),
    )


def run(made: StageRecord) -> tuple[StageOperator, Task, OutletEventAccessors]:
    operator = StageOperator(loop="news", stage="ingest", outlets=[RAW])
    task, events = Task(), OutletEventAccessors()
    context = {
        "ti": task,
        "dag_run": SimpleNamespace(dag_id="news.ingest", run_id="now"),
        "outlet_events": events,
    }
    try:
        settle(operator, made, context)  # type: ignore[arg-type]
    except AirflowSkipException as skipped:
        task.pushed["skipped"] = str(skipped)
    return operator, task, events


def test_a_stage_that_is_done_announces_its_partition_with_a_small_extra() -> None:
    operator, task, events = run(record("done"))
    assert operator.outlets == [RAW]
    assert events[RAW].partition_keys == {"2026-11-18"}
    assert events[RAW].extra == {"stage": "ingest", "fingerprint": "f" * 64, "raw": "d" * 64}
    assert "skipped" not in task.pushed


@pytest.mark.parametrize("status", ["unchanged", "skipped"])
def test_a_stage_with_nothing_to_do_is_skipped_with_its_reason(status: Status) -> None:
    _, task, events = run(record(status))
    assert task.pushed["skipped"] == f"{status}: because of 3 lines"
    assert task.pushed[RECORD_KEY]["reason"] == "because of 3 lines"
    assert not events


def test_labels_announce_the_days_whose_rows_got_them_and_nothing_where_no_row_did() -> None:
    told = record("done", stage="labels")
    days = '{"2026-11-17": "1:a:b", "2026-11-11": "none"}'
    _, _, events = run(told.model_copy(update={"outputs": {"days": days}}))
    assert events[RAW].partition_keys == {"2026-11-11", "2026-11-17"}
    operator, _, events = run(told.model_copy(update={"outputs": {"days": "{}"}}))
    assert operator.outlets == []
    assert not events


def test_a_refusal_ends_green_and_announces_nothing() -> None:
    operator, task, events = run(record("refused"))
    assert "skipped" not in task.pushed
    assert operator.outlets == []
    assert not events


@pytest.mark.parametrize("run_id", ["news.ingest:earlier", "news.ingest:now"])
def test_an_experiment_ends_green_and_announces_nothing(run_id: str) -> None:
    for status in ("done", *(("unchanged",) if run_id.endswith("now") else ())):
        operator, task, events = run(record(status, run_id, "evaluate@fast"))
        assert "skipped" not in task.pushed
        assert operator.outlets == []
        assert not events


def test_work_that_an_earlier_try_of_this_run_finished_is_announced_by_the_retry() -> None:
    _, task, events = run(record("unchanged", run_id="news.ingest:now"))
    assert "skipped" not in task.pushed
    assert events[RAW].partition_keys == {"2026-11-18"}


def test_the_record_that_travels_holds_no_metrics_and_no_data() -> None:
    _, task, _ = run(record("done"))
    assert set(task.pushed[RECORD_KEY]) == {
        "stage", "partition", "status", "reason", "fingerprint", "outputs", "counts", "links",
    }  # fmt: skip
    assert task.pushed[RECORD_KEY]["outputs"] == {"raw": "d" * 64}


def test_what_dbt_did_with_each_model_travels_with_the_record() -> None:
    model = BuiltModel(name="stg_news", status="success", seconds=1.5, rows=449, tests=3, warned={"few": 2})
    _, task, _ = run(record("done", stage="transform").model_copy(update={"models": (model,)}))
    assert task.pushed[RECORD_KEY]["models"] == [model.model_dump()]
