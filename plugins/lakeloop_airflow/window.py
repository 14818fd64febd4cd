"""Which partition a task works on. The only place that decides it, for every kind of run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from lakeloop.errors import ConfigurationError
from lakeloop.spec.days import day_before, require_day

if TYPE_CHECKING:
    from airflow.sdk import Context

PARAM = "partition"

PLAN = "plan"
"""The task that may choose another partition for the tasks behind it than the one that its run is about."""

RECORD_KEY = "record"
"""XCom key of a task's record, also when the task ends skipped."""


class Run(Protocol):
    """What is read of Airflow's DagRun."""

    run_id: str
    run_after: datetime
    partition_key: str | None


def partition_in(context: Context, zone: str) -> str:
    """The partition that the task of `context` works on: what the plan before it chose, else the run's own.

    `zone` as for `partition_of`.

    Raises:
        ConfigurationError: as `partition_of`.
    """
    if any(before.task_id == PLAN for before in context["task"].get_flat_relatives(upstream=True)):
        planned = context["ti"].xcom_pull(task_ids=PLAN, key=RECORD_KEY)
        if planned:  # A person can mark a plan as done that never ran.
            return str(planned["partition"])
    return partition_of(context["dag_run"], context["params"], zone)


def partition_of(run: Run, params: Mapping[str, Any], zone: str) -> str:
    """The partition ("YYYY-MM-DD", a calendar day in the time zone `zone`) of `run`.

    Scheduled, backfilled and asset-triggered runs carry it as their partition key; so does a manual run that
    was given one. Else it is the form's field `partition`, and else the day before the run, by the same rule
    that gives scheduled runs their key.

    Raises:
        ConfigurationError: the partition is no day, or key and field name different days.
    """
    key, field = run.partition_key, params.get(PARAM)
    if key and field and key != field:
        raise ConfigurationError(
            "a run works on one partition, and was given two",
            where=f"run {run.run_id}",
            expected="partition key and field `partition` equal, or one of them empty",
            found=f"partition key {key}, field {field}",
            remedy="trigger it again with one of them",
        )
    if named := key or field:
        return require_day(named, where=f"partition of run {run.run_id}")
    return day_before(run.run_after, zone)
