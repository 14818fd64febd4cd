"""Send days of data through a loop's DAGs and follow the runs until nothing is left to do.

Works through Airflow's API and the lake only, like a person at the web UI. The lake decides when the work is
done: asset events can get lost, so what the lake still misses is asked of the maintenance DAG.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from lakeloop.errors import ServiceError
from lakeloop.local.airflow_api import ACTIVE_STATES, AirflowApi
from lakeloop.records import now
from lakeloop.stages.catalogue import DAGS
from lakeloop.stages.frame.pending import Pending

Say = Callable[[str], None]

_FOLLOWED = tuple(dag for dag in DAGS if dag != "monitor")
_QUIET_SECONDS = 4.0
"""When no run was active for so long, the scheduler has turned every asset event into a run."""
_PARSE_SECONDS = 120.0
_POLL_SECONDS = 2.0


@dataclass(frozen=True)
class TaskTime:
    """One task of one run, as Airflow timed it."""

    dag_id: str
    task_id: str
    partition: str
    state: str
    start: datetime | None
    end: datetime | None
    reason: str = ""
    """Why the task did nothing, where its record says so."""

    @property
    def seconds(self) -> float:
        return (self.end - self.start).total_seconds() if self.start and self.end else 0.0


@dataclass
class Outcome:
    """What the runs came to."""

    tasks: list[TaskTime] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0


def wait_for_dags(api: AirflowApi, loop: str, say: Say) -> list[str]:
    """The ids of the loop's DAGs, once Airflow has read them all: a loop file that is new is read at once.

    Raises:
        ServiceError: Airflow does not have them in time; says the import errors.
    """
    wanted = [f"{loop}.{stage}" for stage in DAGS]
    say(f"waiting for Airflow to read the DAGs of {loop}")
    deadline, asked = time.monotonic() + _PARSE_SECONDS, False
    while time.monotonic() < deadline:
        found = api.dag_ids(tag=loop)
        if set(wanted) <= set(found):
            return wanted
        if not asked:
            # The files of the DAGs did not change, so it would be up to a minute until their turn.
            api.read_dag_files()
            asked = True
        time.sleep(_POLL_SECONDS)
    raise ServiceError(
        "Airflow did not read the DAGs",
        expected=", ".join(wanted),
        found="; ".join(api.import_errors()) or ", ".join(found) or "none",
        remedy="see the dag-processor's log",
    )


def drive(
    api: AirflowApi,
    loop: str,
    partitions: Sequence[str],
    *,
    pending: Callable[[], Sequence[Pending]],
    say: Say,
    detail: Callable[[str, str], str] = lambda task_id, partition: "",  # noqa: ARG005  (named for its callers)
    time_limit: float = 1800.0,
) -> Outcome:
    """Ingest `partitions` and follow all runs that come of them; earlier runs are not in the outcome.

    `pending` asks the lake what is still to do; `detail` (task id, partition) says how far a long task is.
    After `time_limit` seconds the outcome is a failure. Raises ServiceError when Airflow does not answer.
    """
    began, clock = now(), time.monotonic()
    dag_ids = wait_for_dags(api, loop, say)
    for dag_id in dag_ids:
        if not dag_id.endswith(".maintenance"):
            api.set_paused(dag_id, paused=False)
    for partition in partitions:
        api.trigger(f"{loop}.ingest", partition)
    followed = [f"{loop}.{stage}" for stage in _FOLLOWED]
    quiet_since, asked = time.monotonic(), set[tuple[str, str]]()
    while time.monotonic() - clock < time_limit:
        runs = [run for run in api.runs(followed) if _after(run, began)]
        if any(run["state"] in ACTIVE_STATES for run in runs):
            quiet_since = time.monotonic()
            say(describe(api, runs, detail))
        elif failed := [run for run in runs if run["state"] == "failed"]:
            return _outcome(api, runs, clock, [_explain(api, run) for run in failed])
        elif time.monotonic() - quiet_since > _QUIET_SECONDS:
            waiting = list(pending())
            if not waiting:
                return _outcome(api, runs, clock, [])
            fresh: set[tuple[str, str]] = {(p.stage, p.partition) for p in waiting}
            fresh -= asked
            if not fresh:
                return _outcome(
                    api, runs, clock, [f"{p.stage} {p.partition} is still to do: {p.reason}" for p in waiting]
                )
            asked |= fresh
            say(f"the lake misses {len(waiting)} step(s), asking maintenance: {waiting[0].reason}")
            api.set_paused(f"{loop}.maintenance", paused=False)
            api.trigger(f"{loop}.maintenance")
            quiet_since = time.monotonic()
        time.sleep(_POLL_SECONDS)
    return _outcome(api, runs, clock, [f"not done after {time_limit:.0f} s: {describe(api, runs, detail)}"])


def describe(api: AirflowApi, runs: Sequence[dict[str, Any]], detail: Callable[[str, str], str]) -> str:
    """One line on how far the runs are: `ingest 5/5 · transform 2/5 (validate 2026-11-18)`."""
    parts = []
    for dag_id in dict.fromkeys(run["dag_id"] for run in runs):
        own = [run for run in runs if run["dag_id"] == dag_id]
        ended = sum(run["state"] not in ACTIVE_STATES for run in own)
        text = f"{dag_id.split('.', 1)[1]} {ended}/{len(own)}"
        running = [run for run in own if run["state"] == "running"]
        if running:
            text += f" ({_running_tasks(api, running[0], detail)})"
        parts.append(text)
    return " · ".join(parts)


def _running_tasks(api: AirflowApi, run: dict[str, Any], detail: Callable[[str, str], str]) -> str:
    tasks = api.tasks(run["dag_id"], run["dag_run_id"])
    names = [task["task_id"] for task in tasks if task["state"] == "running"]
    partition = run.get("partition_key") or ""
    details = [text for name in names if (text := detail(name, partition))]
    return " ".join((*names, partition, *details)).strip()


def _after(run: dict[str, Any], began: datetime) -> bool:
    return datetime.fromisoformat(run["queued_at"] or run["run_after"]) >= began


def _outcome(api: AirflowApi, runs: Sequence[dict[str, Any]], clock: float, failures: list[str]) -> Outcome:
    tasks = [
        TaskTime(
            dag_id=run["dag_id"],
            task_id=task["task_id"],
            partition=run.get("partition_key") or "",
            state=task["state"] or "none",
            start=_time(task["start_date"]),
            end=_time(task["end_date"]),
            reason=_reason(api, run, task),
        )
        for run in runs
        for task in api.tasks(run["dag_id"], run["dag_run_id"])
    ]
    return Outcome(tasks, failures, time.monotonic() - clock)


def _reason(api: AirflowApi, run: dict[str, Any], task: dict[str, Any]) -> str:
    if task["state"] != "skipped" and task["task_id"] != "plan":
        return ""
    record = api.xcom(run["dag_id"], run["dag_run_id"], task["task_id"], "record")
    return f"{record['status']}: {record['reason']}" if record and record["status"] != "done" else ""


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _explain(api: AirflowApi, run: dict[str, Any]) -> str:
    """Which task of a failed run failed, with the end of its log."""
    failed = [t for t in api.tasks(run["dag_id"], run["dag_run_id"]) if t["state"] == "failed"]
    where = f"{run['dag_id']} {run.get('partition_key') or run['dag_run_id']}"
    if not failed:
        return f"{where} failed"
    task = failed[0]
    log = api.log_text(run["dag_id"], run["dag_run_id"], task["task_id"], task["try_number"])
    return f"{where}: task {task['task_id']} failed:\n" + "\n".join(log.splitlines()[-12:])
