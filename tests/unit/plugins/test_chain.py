"""The tasks of a DAG: those of the stages that its loop has."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG
from lakeloop_airflow.assets import loop_assets
from lakeloop_airflow.chain import stage_tasks

from tests.support.small_loop import small_loop

LABELS: dict[str, Any] = {
    "kind": "files",
    "path": "labels/{partition}.jsonl",
    "key": "id",
    "columns": {"id": "string", "label": "string"},
}


def test_labels_that_come_apart_are_read_behind_the_rows_and_announced_as_they_are() -> None:
    with DAG("small.ingest", schedule=None) as dag:
        stage_tasks(small_loop(labels=LABELS), "ingest")
    rows, labels = dag.tasks
    assert (rows.task_id, labels.task_id) == ("ingest", "labels")
    assert labels.upstream_task_ids == {"ingest"}
    assert labels.trigger_rule == "none_failed"
    assert rows.outlets == labels.outlets == [loop_assets("small").raw]


def test_a_loop_whose_labels_come_with_its_rows_has_no_task_for_them() -> None:
    with DAG("small.ingest", schedule=None) as dag:
        stage_tasks(small_loop(), "ingest")
    assert dag.task_ids == ["ingest"]
