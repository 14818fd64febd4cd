"""A person at Airflow's required actions: approves, rejects, is too late, is asked about a newer one."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import pytest
import yaml
from playwright.sync_api import Page, expect

from lakeloop.local.airflow_api import AirflowApi
from lakeloop.local.drive import wait_for_dags
from lakeloop.records import StageRecord
from lakeloop.registry.registry import Registry
from lakeloop.stages.frame.session import StageContext
from lakeloop.stages.training.dataset import dataset
from lakeloop.stages.training.evaluate import evaluate
from tests.support.small_loop import DAYS, mart_rows, publish, trained
from tests.support.stack import RunningStack
from tests.support.waiting import until as waiting_until

pytestmark = [pytest.mark.browser, pytest.mark.stack, pytest.mark.slow, pytest.mark.timeout(600)]
until = partial(waiting_until, seconds=120, every=0.3)
ENDED = ("success", "skipped", "failed", "upstream_failed")
"""States of a task that goes no further; between two it may be scheduled, or none."""


def loop_file(name: str, hours: float) -> dict[str, Any]:
    return {
        "name": name,
        "source": {
            "kind": "files",
            "path": f"data/{name}/{{partition}}.jsonl",
            "key": "id",
            "columns": {"id": "string", "text": "string", "label": "string"},
        },
        "task": {"text": "text", "label": "label", "labels": ["business", "sports", "tech"]},
        "train": {"min_rows": 30, "min_new_rows": 20},
        "approval": {"kind": "human", "hours": hours},
    }


LOOPS = {"asked": 1.0, "late": 0.002, "newer": 1.0}
"""Loops, and for how many hours each asks; seven seconds in the second."""


@pytest.fixture(scope="module")
def asking(stack: RunningStack) -> dict[str, StageContext]:
    """Loops that ask a person, with Airflow's DAGs of them: their files are read at once, all together."""
    for name, hours in LOOPS.items():
        file = stack.settings.loop_file(name)
        file.parent.mkdir(parents=True)
        file.write_text(yaml.safe_dump(loop_file(name, hours)))
    with stack.api() as api:
        for name in LOOPS:
            wait_for_dags(api, name, print)
            api.set_paused(f"{name}.deploy", False)
    contexts = {name: stack.context_of(name) for name in LOOPS}
    for context in contexts.values():
        context.lake.bootstrap(context.loop)
    return contexts


def judged(context: StageContext, day: str, seed: int) -> None:
    publish(context, day, mart_rows(day, 60))
    dataset(context, day)
    trained(context, "baseline", day, seed=seed)
    evaluate(context, day)


def state_of(api: AirflowApi, dag_id: str, run_id: str, task: str) -> str:
    return {each["task_id"]: str(each["state"]) for each in api.tasks(dag_id, run_id)}[task]


def answered(page: Page, stack: RunningStack, context: StageContext, day: str, button: str) -> StageRecord:
    """Have the DAG ask about the day, answer in the browser; the record of the release that follows."""
    dag_id = f"{context.loop.name}.deploy"
    with stack.api() as api:
        run_id = api.trigger(dag_id, conf={"partition": day})
        until(lambda: state_of(api, dag_id, run_id, "approve") == "deferred")
        page.goto(f"{stack.stack.airflow_url}/dags/{dag_id}/runs/{run_id}/tasks/approve/required_actions")
        expect(page.get_by_text(f"{context.loop.name} {day}: baseline as champion").first).to_be_visible()
        expect(page.get_by_role("heading", name="Scores on the same rows")).to_be_visible()
        expect(page.get_by_role("link", name="evaluation report")).to_have_attribute(
            "href", re.compile("reports")
        )
        page.get_by_role("textbox").last.fill(f"{button.lower()} by the test")
        page.get_by_role("button", name=button, exact=True).click()
        until(lambda: state_of(api, dag_id, run_id, "release") in ENDED)
    record = context.lake.ledger.latest("release", day)
    assert record is not None
    return record


def waiting(api: AirflowApi, dag_id: str) -> list[str]:
    """Subjects of the required actions of a DAG, as the page of all of them asks for them."""
    found = api._get(f"/api/v2/dags/{dag_id}/dagRuns/~/hitlDetails", response_received=False)
    return [each["subject"] for each in found["hitl_details"]]


@pytest.fixture(scope="module")
def late(stack: RunningStack, asking: dict[str, StageContext]) -> str:
    """A run that asks somebody who has seven seconds to answer; it goes on beside what else is tested."""
    judged(asking["late"], DAYS[0], seed=1)
    with stack.api() as api:
        return api.trigger("late.deploy", conf={"partition": DAYS[0]})


@pytest.mark.usefixtures("late")
def test_a_person_rejects_a_candidate_and_approves_the_next(
    page: Page, stack: RunningStack, asking: dict[str, StageContext]
) -> None:
    context = asking["asked"]
    judged(context, DAYS[0], seed=1)
    refused = answered(page, stack, context, DAYS[0], "Reject")
    assert refused.status == "refused"
    assert re.match("rejected by .+: reject by the test; baseline", refused.reason)
    assert Registry(context.lake).champion() is None
    judged(context, DAYS[1], seed=2)
    released = answered(page, stack, context, DAYS[1], "Approve")
    assert (released.status, released.outputs["version"]) == ("done", "v1")
    champion = Registry(context.lake).champion()
    assert champion is not None
    assert champion.card.answer is not None
    assert champion.card.answer.approved
    assert champion.card.answer.reason == "approve by the test"


def test_who_answers_too_late_has_rejected(stack: RunningStack, late: str) -> None:
    context = stack.context_of("late")
    with stack.api() as api:
        until(lambda: state_of(api, "late.deploy", late, "release") == "success")
    record = context.lake.ledger.latest("release", DAYS[0])
    assert record is not None
    assert record.status == "refused"
    assert record.reason.startswith("rejected by nobody in time: approval.otherwise of the loop file")


def test_a_newer_candidate_is_asked_about_in_the_place_of_an_older_one(
    page: Page, stack: RunningStack, asking: dict[str, StageContext]
) -> None:
    context = asking["newer"]
    judged(context, DAYS[0], seed=1)
    with stack.api() as api:
        older = api.trigger("newer.deploy", conf={"partition": DAYS[0]})
        until(lambda: state_of(api, "newer.deploy", older, "approve") == "deferred")
        assert waiting(api, "newer.deploy") == [f"newer {DAYS[0]}: baseline as champion?"]
    judged(context, DAYS[1], seed=2)
    released = answered(page, stack, context, DAYS[1], "Approve")
    assert (released.status, released.outputs["version"]) == ("done", "v1")
    with stack.api() as api:
        assert state_of(api, "newer.deploy", older, "approve") == "skipped"
        assert state_of(api, "newer.deploy", older, "release") == "skipped"
        states = lambda: {run["dag_run_id"]: run["state"] for run in api.runs(["newer.deploy"])}  # noqa: E731
        until(lambda: states()[older] == "success")
        assert waiting(api, "newer.deploy") == []
    record = context.lake.ledger.latest("release", DAYS[0])
    assert record is not None
    title = f"superseded by the candidate of {DAYS[1]}"
    assert record.reason.startswith(f"{title}, automatically; neither approved nor rejected")
    ended, said = Registry(context.lake).read().answers
    assert (ended.title, said.reason) == (title, "approve by the test")
    page.goto(f"{stack.stack.airflow_url}/lakeloop/loops/newer#decisions")
    expect(page.get_by_text(title)).to_be_visible()
    page.goto(f"{stack.stack.airflow_url}/dags/newer.deploy/runs/{older}/tasks/approve/required_actions")
    expect(page.get_by_text(f"newer {DAYS[0]}: baseline as champion").first).to_be_visible()
    expect(page.get_by_role("button", name="Approve", exact=True)).to_be_disabled()
