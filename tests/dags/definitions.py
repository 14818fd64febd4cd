"""The DAGs as plain data, for the snapshot. Run this file to write the snapshot anew: read its diff."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Asset, PartitionedAssetTimetable
from airflow.sdk.definitions.timetables.simple import NullTimetable
from airflow.sdk.definitions.timetables.trigger import CronTriggerTimetable
from lakeloop_airflow.timetable import DayBefore

SNAPSHOT = Path(__file__).with_name("definitions.json")
WRITE = "PYTHONPATH=.:plugins python -m tests.dags.definitions"


def describe(dags: Mapping[str, DAG]) -> dict[str, Any]:
    return {dag_id: _dag(dag) for dag_id, dag in sorted(dags.items())}


def _dag(dag: DAG) -> dict[str, Any]:
    return {
        "schedule": _schedule(dag.timetable),
        "tags": sorted(dag.tags),
        "owner": dag.default_args["owner"],
        "max_active_runs": dag.max_active_runs,
        "params": {name: dag.params.get_param(name).schema.get("type") for name in dag.params},
        "tasks": {task.task_id: _task(task) for task in sorted(dag.tasks, key=lambda task: task.task_id)},
    }


def _task(task: Any) -> dict[str, Any]:
    return {
        "operator": task.task_type,
        "after": sorted(task.upstream_task_ids),
        "trigger_rule": task.trigger_rule.value,
        "pool": task.pool,
        "slots": task.pool_slots,
        "outlets": _names(task.outlets),
        "links": sorted(link.name for link in task.operator_extra_links),
    }


def _names(assets: Any) -> list[str]:
    return sorted(asset.name for asset in assets if isinstance(asset, Asset))


def _schedule(timetable: Any) -> str:
    if isinstance(timetable, PartitionedAssetTimetable):
        return f"asset {timetable.asset_condition.name}"  # type: ignore[attr-defined]
    if isinstance(timetable, DayBefore):
        return f"the day before, {timetable.expression} {timetable.zone}"
    if isinstance(timetable, NullTimetable):
        return "by hand"
    assert isinstance(timetable, CronTriggerTimetable)
    return f"cron {timetable.expression} {timetable.timezone}"


if __name__ == "__main__":
    from airflow.dag_processing.dagbag import DagBag

    from tests.support.airflow import ROOT

    found = describe(DagBag(ROOT / "dags").dags)
    SNAPSHOT.write_text(json.dumps(found, indent=2) + "\n")
