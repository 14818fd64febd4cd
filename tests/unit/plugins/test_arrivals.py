"""A training that is due waits for days that are on their way, as long as there are any, and not for ever."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred
from lakeloop_airflow import arrivals, training
from lakeloop_airflow.arrivals import DAGS, DaysTrigger, days_coming, described
from lakeloop_airflow.training import PlanOperator
from lakeloop_airflow.window import RECORD_KEY

from lakeloop.attempt import Attempt
from lakeloop.records import Counts
from lakeloop.settings import Settings
from lakeloop.stages.frame.session import StageContext
from tests.support.task import Task
from tests.unit.plugins.test_plan_and_pending import NEWEST, OLD, context_of, plan_in_a_dag, publish

EARLIER = "2026-11-17"
INGEST, TRANSFORM = "news.ingest", "news.transform"


@pytest.fixture(autouse=True)
def no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "_A_MOMENT", 0)


def planned(task: Task, *, waited: bool = False, **params: Any) -> dict[str, Any]:
    plan: PlanOperator = plan_in_a_dag()
    if waited:
        plan.execute_complete(context_of(task, plan, **params), {"loop": "news"})
    else:
        plan.execute(context_of(task, plan, **params))
    found: dict[str, Any] = task.pushed[RECORD_KEY]
    return found


@pytest.mark.parametrize("active", [{INGEST: 29, TRANSFORM: 1}, {INGEST: 1}, {TRANSFORM: 2}])
def test_a_training_that_is_due_waits_for_days_that_are_on_their_way(
    settings: Settings, active: dict[str, int]
) -> None:
    publish(settings, NEWEST, OLD)
    task = Task(active=active)
    with pytest.raises(TaskDeferred) as deferred:
        planned(task)
    assert isinstance(deferred.value.trigger, DaysTrigger)
    assert deferred.value.method_name == "execute_complete"
    assert RECORD_KEY not in task.pushed, "nothing is decided yet"
    assert planned(task, waited=True)["status"] == "done", "whatever is on its way by then"


def test_it_waits_for_a_day_that_is_between_two_runs(settings: Settings) -> None:
    context = publish(settings, NEWEST, EARLIER)
    assert days_coming("news", Task().get_dr_count) == (0, 0, 0)
    with context.stage("ingest", OLD) as stage:
        stage.done(reason="", outputs={"raw": "0" * 64}, counts=Counts(read=4, accepted=4))
    assert days_coming("news", Task().get_dr_count) == (0, 0, 1)
    with pytest.raises(TaskDeferred):
        planned(Task())


def test_a_day_that_was_left_half_way_long_ago_is_not_waited_for(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = publish(settings, NEWEST, EARLIER)
    with context.stage("ingest", OLD) as stage:
        stage.done(reason="", outputs={"raw": "0" * 64}, counts=Counts(read=4, accepted=4))
    monkeypatch.setattr(arrivals, "_JUST_NOW", arrivals.timedelta(0))
    assert planned(Task())["status"] == "done"


def test_the_run_that_started_it_is_given_a_moment_to_end(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(settings, NEWEST, OLD)
    task = Task(active={TRANSFORM: 1})
    monkeypatch.setattr(training, "time", SimpleNamespace(sleep=lambda _: task.active.clear()))
    assert planned(task)["status"] == "done"


def test_runs_behind_a_pause_are_not_waited_for(settings: Settings) -> None:
    publish(settings, NEWEST, OLD)
    assert planned(Task(paused=frozenset({INGEST}), active={INGEST: 29}))["status"] == "done"


@pytest.mark.parametrize("params", [{"force": True}, {"experiment": "fast"}])
def test_who_asks_for_a_training_by_hand_waits_for_nothing(
    settings: Settings, params: dict[str, Any]
) -> None:
    publish(settings, NEWEST)
    assert planned(Task(active={INGEST: 29}), **params)["status"] == "done"


def test_what_is_on_its_way_is_said_in_words() -> None:
    assert described((29, 1, 2)) == "29 runs of ingest, 1 run of transform, 2 days between them"
    assert described((1, 0), ["transform"]) == "1 run of transform"
    assert described((0, 0, 0)) == ""


def fired(monkeypatch: pytest.MonkeyPatch, *coming: tuple[int, ...] | Exception) -> list[Any]:
    """What is left of `coming`, one a look, when the trigger has fired."""
    left = list(coming)

    def look(*_: Any) -> tuple[int, ...]:
        found = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(arrivals, "days_coming", look)

    async def first() -> list[Any]:
        return [event.payload async for event in DaysTrigger("news", DAGS, seconds=0).run()]

    assert asyncio.run(asyncio.wait_for(first(), 10)) == [{"loop": "news"}]
    return left


def test_the_trigger_fires_when_two_looks_in_a_row_found_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = ((2, 1, 0), (0, 0, 0), (0, 1, 0), OSError("away"), (0, 0, 0), (0, 0, 0), (9, 9, 9))
    assert fired(monkeypatch, *looks) == [(9, 9, 9)]


def test_the_trigger_fires_when_nothing_moves_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "STANDSTILL_SECONDS", 0.05)
    assert fired(monkeypatch, (1, 0, 0)) == [(1, 0, 0)]
    assert len(fired(monkeypatch, OSError("away for ever"))) == 1


def test_a_restarted_triggerer_makes_the_same_trigger_again() -> None:
    path, arguments = DaysTrigger("news", DAGS).serialize()
    assert path == "lakeloop_airflow.arrivals.DaysTrigger"
    assert DaysTrigger(**arguments).serialize() == (path, arguments)


def test_a_look_opens_the_loop_as_it_is(settings: Settings) -> None:
    StageContext.open("news", settings, Attempt.local())
    assert days_coming("news", Task(active={INGEST: 3}).get_dr_count, ["ingest"]) == (3, 0)
