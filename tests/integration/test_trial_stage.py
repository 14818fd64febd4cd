"""A version beside the champion, on a real lake: it goes on, wins, is taken back, and persons come first."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lakeloop.datasets.decision import TrainingDecision
from lakeloop.registry.registry import Registry
from lakeloop.stages.frame import run as runs
from lakeloop.stages.frame.pending import Pending, work_left
from lakeloop.stages.frame.run import run
from lakeloop.stages.frame.session import StageContext
from lakeloop.stages.frame.status import loop_status
from lakeloop.stages.release import standing
from lakeloop.stages.release import trial as trials
from lakeloop.stages.release.release import release
from lakeloop.stages.release.trial import trial, waiting
from lakeloop.stages.training.dataset import dataset
from lakeloop.stages.training.evaluate import evaluate
from tests.support.live_requests import Requests, later
from tests.support.small_loop import DAYS, mart_rows, publish, small_context, small_loop, trained

BOTH: dict[str, Any] = {
    "shadow": {"requests": 40, "hours": 2},
    "canary": {"shares": [0.25, 0.5], "requests": 60, "hours": 2, "otherwise": "end"},
}
CANARY: dict[str, Any] = {"canary": {"shares": [0.5], "requests": 200, "hours": 2}}


def evaluated(context: StageContext, day: str, seed: int) -> None:
    publish(context, day, mart_rows(day, 60))
    dataset(context, day)
    trained(context, "baseline", day, seed=seed, confuse={"tech": "sports"})
    trained(context, "finetune", day, seed=seed)
    evaluate(context, day)


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with champion v1, and a later evaluation that nobody has decided on."""
    root = tmp_path_factory.mktemp("judged")
    context = small_context(root)
    evaluated(context, DAYS[0], 17)
    release(context, DAYS[0])
    evaluated(context, DAYS[1], 18)
    return root


OnTrial = Callable[[dict[str, Any]], StageContext]


@pytest.fixture
def on_trial(judged: Path, tmp_path: Path) -> OnTrial:
    """A champion v1, and v2 that is let in as section `deploy` says."""

    def begin(deploy: dict[str, Any]) -> StageContext:
        shutil.copytree(judged, tmp_path, dirs_exist_ok=True)
        context = small_context(tmp_path, small_loop(deploy=deploy))
        release(context, DAYS[1])
        return context

    return begin


@pytest.fixture
def context(on_trial: OnTrial) -> StageContext:
    return on_trial(CANARY)


def due(context: StageContext) -> list[Pending]:
    """What is left to do, without the roll-outs, for which there is no server."""
    return [step for step in work_left(context) if step.stage != "rollout"]


def champion(context: StageContext) -> str:
    found = Registry(context.lake).champion()
    assert found is not None
    return found.name


def test_the_first_version_is_champion_at_once_and_the_next_is_tried(context: StageContext) -> None:
    record = context.lake.ledger.latest("release", DAYS[1])
    assert record is not None
    assert record.status == "done"
    assert record.reason.startswith("v2 is tried beside the champion v1: finetune with macro F1 1.0000")
    assert record.outputs["version"] == "v2"
    assert champion(context) == "v1"
    status = loop_status(context)
    assert status.trial is not None
    assert (status.trial.version, status.trial.phase, status.trial.over) == ("v2", "canary", "v1")
    assert release(context, DAYS[1]).status == "unchanged"
    assert len(Registry(context.lake).read().trials) == 1


def test_it_waits_while_there_are_too_few_requests(context: StageContext) -> None:
    record = trial(context, DAYS[1])
    assert record.status == "skipped"
    assert "0 of 200 requests" in record.reason
    assert "requests that failed: nothing is known" in record.reason
    assert "0 of 200 requests" in waiting(context)
    # Five failures are too few, whatever they say.
    Requests(context).ask(10, 0.5, fails=lambda number: True).write()
    assert trial(context, DAYS[1]).status == "skipped"
    assert not due(context)


def test_it_goes_from_the_shadow_through_each_share_into_the_champions_place(on_trial: OnTrial) -> None:
    context = on_trial(BOTH)
    Requests(context).ask(41).write()
    first = trial(context, DAYS[1])
    assert (first.status, first.outputs["next"]) == ("done", "canary of 25%")
    assert first.reason.startswith("v2 goes on, canary of 25%: nothing speaks against it in 41 requests")
    # Requests of the step before are not counted.
    assert "0 of 60 requests" in waiting(context)
    Requests(context).ask(240, 0.25).write()
    assert trial(context, DAYS[1]).outputs["next"] == "canary of 50%"
    Requests(context).ask(120, 0.5).write()
    last = trial(context, DAYS[1])
    assert (last.status, last.outputs["next"], last.outputs["version"]) == ("done", "champion", "v2")
    assert last.metrics["trial/requests"] == 60
    assert last.metrics["trial/failures/share"] == 0
    assert champion(context) == "v2"
    assert [step.partition for step in work_left(context)] == [DAYS[1]]  # to be rolled out
    assert trial(context, DAYS[1]).reason.startswith("no version is tried; the last was v2, canary of 50%")
    assert release(context, DAYS[1]).status == "unchanged"


WORSE: dict[str, Callable[[Requests], Requests]] = {
    "requests that failed": lambda some: some.ask(160, 0.5, fails=lambda number: number % 8 == 1),
    "requests that took long": lambda some: some.ask(160, 0.5, slower=3.0),
    "answers that it was unsure of": lambda some: some.ask(160, 0.5, score=0.4),
    "answers that feedback calls wrong": lambda some: some.ask(
        160, 0.5, right=lambda number: number % 4 != 1
    ),
}


@pytest.mark.parametrize("what", WORSE)
def test_what_does_worse_is_taken_back_and_it_is_said_by_what(context: StageContext, what: str) -> None:
    WORSE[what](Requests(context)).write()
    record = trial(context, DAYS[1])
    assert (record.status, record.outputs["next"]) == ("refused", "none")
    assert record.reason.startswith(
        "v2, canary of 50% of the requests, was taken back; the champion v1 stays"
    )
    assert what in record.reason
    history = Registry(context.lake).read()
    assert history.trial is None
    assert history.trial_ends[-1].by == ""
    assert what in history.trial_ends[-1].reason
    assert champion(context) == "v1"
    # It is not tried again, whatever the rules of the gate are by then.
    stricter = replace(context, loop=small_loop(deploy=CANARY, gate={"min_score": 0.4}))
    again = release(stricter, DAYS[1])
    assert again.status == "skipped"
    assert again.reason.startswith("this evaluation had v2 tried before; its trial was ended: canary of 50%")
    assert not due(context)


def test_a_shadow_that_fails_never_answers_a_request(on_trial: OnTrial) -> None:
    context = on_trial(BOTH)
    Requests(context).ask(30, fails=lambda number: True).write()
    record = trial(context, DAYS[1])
    assert record.status == "refused"
    assert "requests that failed: 30 of 30, of the champion's 0 of 30" in record.reason


@pytest.mark.parametrize(("otherwise", "winner"), [("go_on", "v2"), ("end", "v1")])
def test_what_follows_when_too_few_came_in_time_is_in_the_loop_file(
    otherwise: str, winner: str, on_trial: OnTrial, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = on_trial({"canary": {**CANARY["canary"], "otherwise": otherwise}})
    Requests(context).ask(30, 0.5).write()
    monkeypatch.setattr(standing, "now", later(2.5))
    record = trial(context, DAYS[1])
    assert (
        "after 2 h there are 15 of 200 requests, too few to tell whether it is worse; by `otherwise:"
        in record.reason
    )
    assert champion(context) == winner
    assert Registry(context.lake).read().trial is None


def test_what_never_answered_is_not_promoted_because_time_is_over(
    context: StageContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing, "now", later(2.5))
    some = Requests(context)
    some.trial = some.trial.model_copy(update={"version": "v1"})  # all of them were the champion's
    some.ask(60, 0.5).write()
    record = trial(context, DAYS[1])
    assert record.status == "refused"
    assert "the model server does not ask it" in record.reason
    assert champion(context) == "v1"


def test_what_failed_mostly_is_not_promoted_because_time_is_over(
    context: StageContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing, "now", later(2.5))
    Requests(context).ask(10, 0.5, fails=lambda number: number > 3).write()
    record = trial(context, DAYS[1])
    assert record.status == "refused"
    assert "requests that failed: 3 of 5" in record.reason


def test_what_a_person_does_meanwhile_stands(context: StageContext, monkeypatch: pytest.MonkeyPatch) -> None:
    Requests(context).ask(420, 0.5).write()
    registry = Registry(context.lake)

    def first(point: str) -> None:
        if point == "trial.before-move":
            assert registry.rollback("looks odd", by="ada").name == "v1"

    monkeypatch.setattr(trials, "reach", first)
    record = trial(context, DAYS[1])
    assert record.status == "skipped"
    assert record.reason == (
        "somebody was first: v2, canary of 50% of the requests: its trial was ended by ada: looks odd"
    )
    assert champion(context) == "v1"
    assert release(context, DAYS[1]).status == "unchanged"
    # And the other way round: the version in trial is what the person wants.
    registry.promote_by_hand("v2", reason="it is good", by="ada")
    assert "no version is tried" in trial(context, DAYS[1]).reason
    assert champion(context) == "v2"


def test_a_newer_candidate_waits_for_the_end_of_the_trial(context: StageContext) -> None:
    evaluated(context, DAYS[2], 19)
    release(context, DAYS[2])
    record = context.lake.ledger.latest("release", DAYS[2])
    assert record is not None
    assert (record.status, record.reason) == ("skipped", "waits until the trial of v2 ends")
    assert "lakeloop trial small" in record.outputs["to_do"]
    assert not due(context)
    Registry(context.lake).rollback("no", by="ada")
    assert [(step.stage, step.partition) for step in due(context)] == [("release", DAYS[2])]
    assert release(context, DAYS[2]).reason.startswith("v3 is tried beside the champion v1")


def test_nobody_looked_for_long_is_due(context: StageContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "now", later(4))
    (late,) = due(context)
    assert (late.stage, late.partition) == ("trial", DAYS[1])
    assert late.reason.startswith("the time of v2, canary of 50% of the requests, was over at")


def test_a_run_of_all_stages_looks_once_at_a_trial_that_goes_on(
    context: StageContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "decide_training", lambda _: TrainingDecision(False, "nothing new"))
    (looked,) = run(context, [])
    assert (looked.stage, looked.status) == ("trial", "skipped")
    Registry(context.lake).rollback("no", by="ada")
    assert run(context, []) == []


def test_a_step_that_the_loop_file_does_not_name_any_more_ends_as_is_usual(context: StageContext) -> None:
    Requests(context).ask(620, 0.5).write()
    changed = replace(context, loop=small_loop())
    assert trial(changed, DAYS[1]).outputs["next"] == "champion"
    assert champion(context) == "v2"
