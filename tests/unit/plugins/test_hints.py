"""Asset events are hints. Whatever becomes of them, maintenance finds in the lake what is left to do.

The events are what is faked here: lost, doubled, split, too many, sent to a DAG that was paused. The ledger,
the stages and the operators are real.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from airflow.sdk.exceptions import AirflowSkipException
from airflow.sdk.execution_time.context import OutletEventAccessors
from deltalake import write_deltalake
from lakeloop_airflow.assets import loop_assets
from lakeloop_airflow.stage_task import StageOperator
from lakeloop_airflow.upkeep import MOST_RUNS, PendingOperator
from lakeloop_airflow.window import PARAM, partition_of

from lakeloop.attempt import Attempt
from lakeloop.errors import ConfigurationError
from lakeloop.lake.ledger import _entry
from lakeloop.lake.tables import LEDGER
from lakeloop.records import Counts, StageRecord
from lakeloop.settings import Settings
from lakeloop.spec.days import yesterday
from lakeloop.stages.catalogue import STAGES
from lakeloop.stages.frame.session import StageContext
from tests.support.command import DAY, LOOP
from tests.support.dbt_project import write_dbt_project
from tests.support.records import provenance
from tests.support.task import Task

BEFORE, FIRST = "2026-11-18", "2026-11-19"


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StageContext:
    """The loop `tickets`, with drops of three days and one that is not over."""
    for folder in ("loops/tickets", "data"):
        (tmp_path / folder).mkdir(parents=True)
    write_dbt_project(tmp_path / "dbt", "tickets")
    (tmp_path / "loops/tickets/loop.yaml").write_text(LOOP)
    today = (date.fromisoformat(yesterday("UTC")) + timedelta(days=1)).isoformat()
    for day in (BEFORE, FIRST, DAY, today):
        rows = [{"id": f"{day}-{n}", "text": f"text {n}", "team": "billing"} for n in range(3)]
        (tmp_path / f"data/{day}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.setenv("LAKELOOP_ROOT", str(tmp_path))
    return StageContext.open("tickets", Settings(root=tmp_path), Attempt("test"))


def ingest(day: str, run_id: str) -> tuple[str, set[str]]:
    """Run the task `ingest` as the run `run_id`: how it ended, and the days that it announced."""
    raw = loop_assets("tickets").raw
    operator = StageOperator(loop="tickets", stage="ingest", outlets=[raw])
    events = OutletEventAccessors()
    try:
        operator.execute(airflow_context(operator, Task(), events=events, day=day, run_id=run_id))
    except AirflowSkipException as skipped:
        return str(skipped).split(":")[0], set()
    return "done", set(events[raw].partition_keys)


def transform(run_id: str, *, key: str | None = None, conf: Mapping[str, str] | None = None) -> set[str]:
    """Run the tasks of the DAG `transform` as the run `run_id` of a key or a form: the days it announced."""
    mart = loop_assets("tickets").mart
    events = OutletEventAccessors()
    for stage in (stage for stage in STAGES if stage.dag == "transform"):
        operator = StageOperator(
            loop="tickets", stage=stage.name, outlets=[mart] if stage.name == "validate" else []
        )
        with suppress(AirflowSkipException):
            operator.execute(
                airflow_context(operator, Task(), events=events, day=key, run_id=run_id, conf=conf)
            )
    return set(events[mart].partition_keys)


def published(context: StageContext) -> list[str]:
    """The keys of the rows in the mart, sorted."""
    return sorted(context.lake.read("mart", columns=["row_id"])["row_id"].to_pylist())


def airflow_context(
    operator: Any,
    task: Task,
    *,
    events: OutletEventAccessors | None = None,
    day: str | None = None,
    run_id: str = "r",
    conf: Mapping[str, str] | None = None,
) -> Any:
    run = SimpleNamespace(
        dag_id="tickets.any", run_id=run_id, partition_key=day, run_after=datetime(2026, 11, 22, tzinfo=UTC)
    )
    return {"ti": task, "dag_run": run, "params": dict(conf or {}), "task": operator, "outlet_events": events}


def maintenance(*paused: str) -> list[tuple[str, str]]:
    """What maintenance triggers: each DAG with the day that its run will work on."""
    operator = PendingOperator(loop="tickets")
    try:
        triggers = operator.execute(airflow_context(operator, Task(frozenset(paused)), run_id="m"))
    except AirflowSkipException:
        return []
    assert len({trigger["trigger_run_id"] for trigger in triggers}) == len(triggers)
    run = SimpleNamespace(run_id="m", run_after=datetime(2026, 11, 22, tzinfo=UTC), partition_key=None)
    return [(trigger["trigger_dag_id"], partition_of(run, trigger["conf"], "UTC")) for trigger in triggers]


def test_two_runs_for_one_day_do_the_work_once_and_announce_it_once(context: StageContext) -> None:
    assert ingest(DAY, "first") == ("done", {DAY})
    assert ingest(DAY, "second") == ("unchanged", set())
    assert context.lake.read("raw").num_rows == 3
    assert [entry.status for entry in context.lake.ledger.entries("ingest")] == ["done"]


@pytest.mark.slow
def test_a_lost_event_is_found_until_its_work_is_done(context: StageContext) -> None:
    ingest(DAY, "first")  # and nobody hears of it
    assert maintenance() == [("tickets.transform", DAY)]
    assert maintenance() == [("tickets.transform", DAY)], "found again while nobody did it"
    assert transform("maintenance", conf={PARAM: DAY}) == {DAY}
    assert published(context) == ["2026-11-20-0", "2026-11-20-1", "2026-11-20-2"]
    assert maintenance() == []


@pytest.mark.slow
def test_a_key_split_in_two_is_worked_on_once(context: StageContext) -> None:
    """Airflow 3.3.0 may keep two half-complete runs for one key (apache/airflow#71070): neither starts."""
    ingest(DAY, "first")
    assert maintenance() == [("tickets.transform", DAY)]
    assert transform("maintenance", conf={PARAM: DAY}) == {DAY}
    version = context.lake.version("mart")
    for half in ("half", "other half"):  # both come after all, each under the whole key
        assert transform(half, key=DAY) == set()
    assert context.lake.version("mart") == version
    assert published(context) == ["2026-11-20-0", "2026-11-20-1", "2026-11-20-2"]
    assert maintenance() == []


def test_a_key_that_is_no_day_is_refused_before_anything_is_written(context: StageContext) -> None:
    ingest(DAY, "first")
    before = context.lake.version("claims"), context.lake.version("ledger")
    for part in ("2026-11", "2026-11-20|2026-11-21"):
        with pytest.raises(ConfigurationError, match="partition of run half"):
            transform("half", key=part)
    assert (context.lake.version("claims"), context.lake.version("ledger")) == before
    assert maintenance() == [("tickets.transform", DAY)], "the whole key is still found"


def test_what_a_paused_dag_missed_waits_and_comes_when_it_is_on_again(context: StageContext) -> None:
    ingest(FIRST, "first")
    ingest(DAY, "second")
    assert maintenance("tickets.transform") == []
    assert maintenance() == [("tickets.transform", FIRST), ("tickets.transform", DAY)]


def test_a_drop_that_nobody_took_in_is_found(context: StageContext) -> None:
    assert maintenance() == [], "a loop that was never started is not started by maintenance"
    ingest(FIRST, "first")
    assert maintenance("tickets.transform") == [("tickets.ingest", DAY)], (
        "neither the day before the first nor today, which is not over"
    )
    assert ingest(DAY, "triggered")[0] == "done"
    assert maintenance("tickets.transform") == []


def backlog(context: StageContext, count: int) -> list[str]:
    """`count` days that were ingested and of which nobody heard."""
    days = [(date(2020, 1, 1) + timedelta(days=number)).isoformat() for number in range(count)]
    rows = []
    for day in days:
        record = StageRecord(
            loop="tickets", stage="ingest", partition=day, status="done", reason="", fingerprint=f"f {day}",
            outputs={"raw": f"raw {day}"}, counts=Counts(read=1, accepted=1), provenance=provenance(),
        )  # fmt: skip
        rows.append(_entry(f"ingest-{day}", record, LEDGER.empty_table()))
    table = pa.Table.from_pylist(rows, LEDGER)
    write_deltalake(context.lake.uri("ledger"), table, mode="append", partition_by=["stage"])
    return days


def test_a_backlog_of_five_hundred_days_is_found_whole(context: StageContext) -> None:
    days = backlog(context, 500)
    assert maintenance("tickets.ingest") == [("tickets.transform", day) for day in days]


def test_of_more_than_airflow_can_map_the_oldest_come_first(context: StageContext) -> None:
    days = backlog(context, MOST_RUNS + 100)
    assert maintenance("tickets.ingest") == [("tickets.transform", day) for day in days[:MOST_RUNS]]
