"""A stage that waits gives its slot back, is looked at in the triggerer, and acts when there is something."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException, TaskDeferred
from lakeloop_airflow import waiting
from lakeloop_airflow.waiting import MOST_FAILURES, LookTrigger, WaitingOperator

from lakeloop.errors import ConfigurationError, TransientError
from lakeloop.records import StageRecord
from lakeloop.stages.catalogue import Stage
from tests.support.records import provenance


class Looks:
    """What the stage says that it waits for, look by look; an error is raised."""

    def __init__(self, *said: str | Exception) -> None:
        self.said = list(said)

    def __call__(self, *_: Any) -> str:
        said = self.said.pop(0) if len(self.said) > 1 else self.said[0]
        if isinstance(said, Exception):
            raise said
        return said


def fired(monkeypatch: pytest.MonkeyPatch, *said: str | Exception) -> tuple[list[Any], Looks]:
    looks = Looks(*said)
    monkeypatch.setattr(waiting, "_look", looks)

    async def first() -> list[Any]:
        return [event.payload async for event in LookTrigger("small", "trial", seconds=0).run()]

    return asyncio.run(asyncio.wait_for(first(), 10)), looks


def test_the_trigger_fires_when_nothing_is_waited_for_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    events, looks = fired(monkeypatch, "10 of 200 requests", "20 of 200 requests", "")
    assert events == [{"stage": "trial"}]
    assert looks.said == [""]


def test_a_lake_that_is_away_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    events, looks = fired(monkeypatch, TransientError("away"), OSError("away"), "10 of 200 requests", "")
    assert (len(events), looks.said) == (1, [""])


@pytest.mark.parametrize("error", [ConfigurationError("no such loop"), OSError("away for ever")])
def test_what_does_not_get_better_wakes_the_task_to_fail_aloud(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    events, _ = fired(monkeypatch, *([error] * (MOST_FAILURES + 1)))
    assert len(events) == 1


def test_a_restarted_triggerer_makes_the_same_trigger_again() -> None:
    path, arguments = LookTrigger("small", "trial", 30.0).serialize()
    assert path == "lakeloop_airflow.waiting.LookTrigger"
    assert vars(LookTrigger(**arguments))["loop"] == "small"
    assert LookTrigger(**arguments).serialize() == (path, arguments)


@pytest.fixture
def worked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the stage was asked to do."""
    done: list[str] = []

    def work(self: WaitingOperator, _: Any) -> StageRecord:
        done.append(self.stage)
        return StageRecord(
            loop="small",
            stage="trial",
            partition="2026-11-18",
            status="done",
            reason="v2 goes on",
            provenance=provenance("small.deploy:now"),
        )

    monkeypatch.setattr(WaitingOperator, "work", work)
    monkeypatch.setattr(waiting, "open_context", lambda *_: None)
    return done


def context(**params: Any) -> Any:
    pushed: dict[str, Any] = {}
    return {
        "params": params,
        "ti": SimpleNamespace(xcom_push=pushed.setdefault),
        "dag_run": SimpleNamespace(dag_id="small.deploy", run_id="now"),
        "outlet_events": {},
    }


def says(monkeypatch: pytest.MonkeyPatch, *said: str) -> None:
    looks = Looks(*said)
    monkeypatch.setattr(Stage, "waiting", property(lambda _: looks))


def test_a_task_that_waits_is_deferred_before_and_after_it_did_something(
    worked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = WaitingOperator(loop="small", stage="trial")
    says(monkeypatch, "0 of 200 requests")
    with pytest.raises(TaskDeferred) as deferred:
        task._proceed(context())
    assert not worked
    assert isinstance(deferred.value.trigger, LookTrigger)
    assert deferred.value.method_name == "execute_complete"
    says(monkeypatch, "", "0 of 300 requests")  # the next step has begun
    with pytest.raises(TaskDeferred):
        task.execute_complete(context(), {"stage": "trial"})
    assert worked == ["trial"]
    says(monkeypatch, "")
    task.execute_complete(context(), {"stage": "trial"})
    assert worked == ["trial", "trial"]


def test_a_dry_run_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    says(monkeypatch, "0 of 200 requests")
    with pytest.raises(AirflowSkipException, match="dry run"):
        WaitingOperator(loop="small", stage="trial")._proceed(context(dry_run=True))
