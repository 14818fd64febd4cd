"""A backfill of Airflow's web UI is so many daily runs, and one training; a day of it is delivered again."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect
from typer.testing import CliRunner

from lakeloop.attempt import Attempt
from lakeloop.cli.main import app
from lakeloop.local.airflow_api import ACTIVE_STATES, AirflowApi
from lakeloop.local.drive import wait_for_dags
from lakeloop.registry.impact import Impact, impact_of
from lakeloop.registry.registry import Registry
from lakeloop.stages.catalogue import DATA, stage_named
from lakeloop.stages.frame.pending import work_left
from lakeloop.stages.frame.session import StageContext
from tests.support.arriving import NAME, ROWS_A_DAY, days, write_day
from tests.support.stack import ARRIVING_DAYS, RunningStack

pytestmark = [pytest.mark.browser, pytest.mark.stack, pytest.mark.slow, pytest.mark.timeout(1200)]

DAYS = days(ARRIVING_DAYS)
TABLES = ("raw", "staging", "mart", "quarantine")
FOLLOWED = [f"{NAME}.{dag}" for dag in ("ingest", "transform", "train", "deploy")]
PATIENCE_SECONDS = 900.0
QUIET_SECONDS = 12.0
ASKED = 5


def test_a_backfill_is_as_many_daily_runs_and_one_training(
    page: Page, stack: RunningStack, tmp_path: Path
) -> None:
    with stack.api() as api:
        for dag_id in reversed(wait_for_dags(api, NAME, lambda _: None)):
            api.set_paused(dag_id, paused=dag_id.endswith((".maintenance", ".monitor")))
        backfill(page, stack, DAYS[0], DAYS[-1])
        settle(api, stack)
        runs = [run for run in api.runs([f"{NAME}.ingest"]) if run["run_type"] == "backfill"]
        assert sorted(run["partition_key"] for run in runs) == DAYS
        assert {run["state"] for run in api.runs(FOLLOWED)} == {"success"}
    context = stack.context_of(NAME)
    entries = context.lake.ledger.entries(status="done")
    made = [entry for entry in entries if entry.stage in ("dataset", "train-words", "evaluate")]
    assert [(entry.stage, entry.partition) for entry in made] == [
        ("dataset", DAYS[-1]),
        ("train-words", DAYS[-1]),
        ("evaluate", DAYS[-1]),
    ]
    assert made[0].outputs["rows"] == str(ROWS_A_DAY * len(DAYS))
    assert digests(context) == digests(daily(stack, tmp_path))
    assert work_left(context) == []


def test_a_day_delivered_again_says_what_was_made_of_the_rows_of_before(
    page: Page, stack: RunningStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, day = stack.context_of(NAME), DAYS[0]
    if Registry(context.lake).champion() is None:
        pytest.fail("the backfill, which runs before, left no champion")
    url = f"{stack.stack.server_url}/v1/loops/{NAME}/predict"
    for number in range(ASKED):
        httpx.post(url, json={"texts": [f"The coach of match {number}."]}, timeout=60).raise_for_status()
    write_day(stack.settings.data_roots[0] / "arriving", day, edition=2, rows=ROWS_A_DAY + 1)
    with stack.api() as api:
        api.trigger(f"{NAME}.ingest", day)
        settle(api, stack)
    before, now = logged(context, day).editions
    assert (before.rows, now.rows) == (ROWS_A_DAY, ROWS_A_DAY + 1)
    assert [(one.version, one.answers, one.aliases) for one in before.versions] == [
        ("v1", ASKED, ("champion",))
    ]
    assert now.datasets == (), "so few rows are no reason to train"
    record = context.lake.ledger.latest("validate", day)
    assert record is not None
    assert f"in place of {ROWS_A_DAY} row(s)" in record.reason
    for name in ("root", "home", "loops", "dbt"):
        monkeypatch.setenv(f"LAKELOOP_{name.upper()}", str(getattr(stack.settings, name)))
    monkeypatch.setenv("LAKELOOP_DATA_ROOTS", json.dumps([str(stack.settings.data_roots[0])]))
    said = CliRunner().invoke(app, ["impact", NAME, "--partition", day])
    assert f"no more: v1 ({ASKED} answers)" in " ".join(said.output.split())
    page.goto(f"{stack.stack.airflow_url}/plugin/lakeloop")
    frame = page.frame_locator("iframe")
    frame.get_by_role("link", name=NAME, exact=True).click()
    frame.get_by_role("link", name=re.compile(f"^{day}: ")).click()
    expect(frame.locator("#day")).to_contain_text("Published 2 times, each with other rows.")
    frame.get_by_role("link", name="What was made of the rows of before").click()
    expect(frame.get_by_text(f"v1 (champion), served now: {ASKED} answers")).to_be_visible()
    expect(frame.get_by_role("heading", name=re.compile("^Published "))).to_have_count(2)


def backfill(page: Page, stack: RunningStack, first: str, last: str) -> None:
    """Fill in Airflow's own form."""
    page.goto(f"{stack.stack.airflow_url}/dags/{NAME}.ingest")
    page.get_by_role("button", name="Trigger").first.click()
    dialog = page.get_by_role("dialog").first
    dialog.get_by_text("Backfill").first.click()
    for end, day in (("From", first), ("To", last)):
        dialog.get_by_text("Select date and time").first.click()
        date = page.get_by_role("textbox", name=end, exact=True)
        date.fill(day.replace("-", "/"))
        date.press("Enter")
        dialog.get_by_text("Date Range").click()
    dialog.get_by_text("All Runs").click()
    expect(dialog.get_by_text(f"{ARRIVING_DAYS} runs will be triggered")).to_be_visible()
    dialog.get_by_role("button", name="Run Backfill").click()


def settle(api: AirflowApi, stack: RunningStack) -> None:
    """Return when nothing has run for a while, and no day is half way."""
    deadline, quiet = time.monotonic() + PATIENCE_SECONDS, time.monotonic()
    while True:
        assert time.monotonic() < deadline, [(run["dag_id"], run["state"]) for run in api.runs(FOLLOWED)]
        time.sleep(1)
        if any(run["state"] in ACTIVE_STATES for run in api.runs(FOLLOWED)):
            quiet = time.monotonic()
        elif time.monotonic() - quiet > QUIET_SECONDS:
            if not any(step.stage in DATA for step in work_left(stack.context_of(NAME))):
                return
            quiet = time.monotonic()


def daily(stack: RunningStack, home: Path) -> StageContext:
    """The same days one by one, the newest first, in a lake of their own."""
    settings = stack.settings.model_copy(update={"home": home, "lake": str(home / "lake")})
    context = StageContext.open(NAME, settings, Attempt.local())
    for day in reversed(DAYS):
        for name in DATA:
            stage_named(name).function(context, day)
    return context


def digests(context: StageContext) -> dict[tuple[str, str], str]:
    return {(table, day): context.lake.digest(table, partition=day) for table in TABLES for day in DAYS}


def logged(context: StageContext, day: str) -> Impact:
    """The impact, once the model server has written its answers down."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        found = impact_of(context.lake, Registry(context.lake).read(), day)
        if sum(edition.answers for edition in found.editions) == ASKED:
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.5)
