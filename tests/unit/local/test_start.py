"""What starting a loop asks of Airflow, and in which order. Airflow's answers are those of its REST API."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from lakeloop.errors import ServiceError
from lakeloop.local.airflow_api import AirflowApi
from lakeloop.local.start import carry_out, plan
from lakeloop.stages.catalogue import DAGS
from tests.support.small_loop import DAYS, small_loop

LOOP = small_loop()


class Airflow:
    """Remembers what it was told to do."""

    def __init__(self, paused: dict[str, bool], days: tuple[str, ...] = DAYS) -> None:
        self.paused, self.days = paused, days
        self.told: list[tuple[str, Any]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content or b"{}")
        if request.url.path.endswith("/dags"):
            dags = [{"dag_id": dag_id, "is_paused": paused} for dag_id, paused in self.paused.items()]
            return httpx.Response(200, json={"dags": dags})
        if request.url.path.endswith("/dry_run"):
            assert (body["from_date"], body["to_date"]) == (f"{DAYS[0]}T00:00:00Z", f"{DAYS[-1]}T23:59:59Z")
            return httpx.Response(200, json={"backfills": [{"partition_key": day} for day in self.days]})
        if request.url.path.endswith("/backfills"):
            self.told.append(("backfill", (body["dag_id"], body["from_date"], body["to_date"])))
        else:
            self.told.append((request.url.path.rsplit("/", 1)[1], body))
        return httpx.Response(200, json={"dag_run_id": "run"})

    def api(self) -> AirflowApi:
        return AirflowApi("http://x", httpx.Client(base_url="http://x", transport=httpx.MockTransport(self)))


def dags(**paused: bool) -> dict[str, bool]:
    return {f"small.{name}": paused.get(name, True) for name in reversed(DAGS)}


def test_who_listens_is_switched_on_before_who_tells_and_ingest_comes_last() -> None:
    airflow = Airflow(dags(monitor=False))
    planned = plan(airflow.api(), LOOP, DAYS)
    assert airflow.told == [], "a plan changes nothing"
    carry_out(airflow.api(), planned)
    on = {"is_paused": False}
    assert airflow.told == [
        ("small.maintenance", on),
        ("small.score", on),
        ("small.deploy", on),
        ("small.train", on),
        ("small.transform", on),
        ("backfill", ("small.ingest", f"{DAYS[0]}T00:00:00Z", f"{DAYS[-1]}T23:59:59Z")),
        ("small.ingest", on),
    ]


def test_the_plan_says_what_will_happen() -> None:
    said = plan(Airflow(dags(monitor=False), DAYS[1:]).api(), LOOP, DAYS).sentences
    assert said["switched on"].endswith("small.transform, small.ingest")
    assert said["on already"] == "small.monitor"
    assert said["backfilled"].startswith(f"{DAYS[1]} to {DAYS[2]}: 2 run(s) of small.ingest")
    assert said["left out"] == f"{DAYS[0]}: the schedule leaves them out, or they run now"
    assert '"0 2 * * *" (UTC) for the day before' in said["from then on"]
    assert said["a training"].startswith("starts when 30 rows are published")


def test_without_days_there_is_no_backfill() -> None:
    airflow = Airflow(dags())
    planned = plan(airflow.api(), LOOP, [])
    carry_out(airflow.api(), planned)
    assert "backfilled" not in planned.sentences
    assert [name for name, _ in airflow.told] == [f"small.{name}" for name in reversed(DAGS)]


def test_a_loop_whose_dags_airflow_has_not_read_is_not_half_started() -> None:
    airflow = Airflow({"small.ingest": True})
    with pytest.raises(ServiceError, match="does not have 6 of the loop's DAGs"):
        plan(airflow.api(), LOOP, DAYS)


def test_days_that_the_source_does_not_have_are_not_run_and_the_others_one_by_one() -> None:
    airflow = Airflow(dags())
    planned = plan(airflow.api(), LOOP, [DAYS[0], DAYS[2]])
    assert planned.sentences["not there"] == f"1 day(s) between that the source does not have: {DAYS[1]}"
    assert "2 run(s) of small.ingest" in planned.sentences["backfilled"]
    carry_out(airflow.api(), planned)
    triggered = [body["partition_key"] for name, body in airflow.told if name == "dagRuns"]
    assert triggered == [DAYS[0], DAYS[2]]
    assert "backfill" not in dict(airflow.told)
