"""What a person does at Airflow's web UI: look at the loops, trigger a run by its form, follow the links."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from lakeloop.local.airflow_api import ACTIVE_STATES
from tests.support.stack import RunningStack

pytestmark = [pytest.mark.browser, pytest.mark.stack, pytest.mark.slow]

RUN_SECONDS = 180.0
HOSTILE = """<script>
fetch("/api/v2/dags").then(() => { document.title = "reached"; }, () => { document.title = "kept out"; });
</script>"""


@pytest.fixture(scope="module")
def partition(stack: RunningStack) -> str:
    return stack.partitions[0]


def open_overview(page: Page, stack: RunningStack) -> None:
    page.goto(stack.stack.airflow_url)
    page.get_by_role("link", name="Lakeloop", exact=True).click()
    expect(page).to_have_url(re.compile("/plugin/lakeloop"))


def test_the_menu_leads_to_the_loops_and_a_loop_to_its_dags(page: Page, stack: RunningStack) -> None:
    open_overview(page, stack)
    frame = page.frame_locator("iframe")
    frame.get_by_role("link", name="news", exact=True).click()
    expect(frame.get_by_role("heading", name="news", exact=True)).to_be_visible()
    frame.get_by_role("link", name="news.ingest").first.click()
    # The frame may not move its parent by itself; the page goes round that.
    expect(page).to_have_url(re.compile(r"/dags/news\.ingest"))


def test_a_dag_triggered_by_its_form_works_on_the_day_of_the_form(
    page: Page, stack: RunningStack, partition: str
) -> None:
    page.goto(f"{stack.stack.airflow_url}/dags/news.ingest")
    page.get_by_role("button", name="Trigger").first.click()
    dialog = page.get_by_role("dialog")
    dialog.locator("input[type=date]").fill(partition)
    dialog.get_by_role("button", name="Trigger").click()
    expect(page).to_have_url(re.compile(r"/runs/manual__"))
    assert finished(stack, "news.ingest") == "success"
    expect(page.get_by_text("success", exact=False).first).to_be_visible()
    record = stack.context.lake.ledger.latest("ingest", partition)
    assert record is not None
    assert record.status == "done"


def test_the_task_page_leads_to_its_run(page: Page, stack: RunningStack, partition: str) -> None:
    run_id = run_that_ingested(stack, partition)
    page.goto(f"{stack.stack.airflow_url}/dags/news.ingest/runs/{run_id}/tasks/ingest/details")
    page.get_by_role("link", name="W&B run").click()
    expect(page.get_by_role("heading", name=f"news · ingest · {partition}")).to_be_visible()
    expect(page.get_by_role("cell", name="done", exact=True)).to_be_visible()


def test_the_page_of_a_loop_shows_what_the_run_left(page: Page, stack: RunningStack, partition: str) -> None:
    run_that_ingested(stack, partition)
    record = stack.context.lake.ledger.latest("ingest", partition, "done")
    assert record is not None
    assert record.counts is not None
    open_overview(page, stack)
    frame = page.frame_locator("iframe")
    frame.get_by_role("link", name="news", exact=True).click()
    frame.get_by_role("link", name=re.compile(f"^{partition}: ")).click()
    expect(frame.locator("#day")).to_contain_text(f"{record.counts.read} read = ")
    stages = frame.get_by_role("region", name="Stages", exact=True)
    expect(stages.get_by_role("row", name=re.compile("^ingest .* (done|skipped) "))).to_be_visible()
    frame.get_by_role("navigation", name="Breadcrumb").get_by_role("link", name="Lakeloop").click()
    expect(frame.get_by_role("heading", name="Loops")).to_be_visible()


def test_a_report_is_read_within_airflow_below_the_way_back(page: Page, stack: RunningStack) -> None:
    report: Path = stack.settings.docs("news") / "read" / "index.html"
    report.parent.mkdir(parents=True)
    report.write_text("<h1>Checks of the day</h1>")
    open_overview(page, stack)
    frame = page.frame_locator("iframe")
    expect(frame.get_by_role("heading", name="Loops")).to_be_visible()
    page.locator("iframe").evaluate("frame => { frame.src = '/lakeloop/view/docs/news/read/index.html'; }")
    expect(frame.frame_locator("iframe").get_by_role("heading", name="Checks of the day")).to_be_visible()
    frame.get_by_role("navigation", name="Breadcrumb").get_by_role("link", name="news").click()
    expect(frame.get_by_role("heading", name="news", exact=True)).to_be_visible()


def test_the_page_follows_the_colours_of_airflow(page: Page, stack: RunningStack) -> None:
    page.emulate_media(color_scheme="dark")
    open_overview(page, stack)
    dark = page.evaluate("document.documentElement.classList.contains('dark')")
    root = page.frame_locator("iframe").locator("html")
    expect(root).to_have_attribute("data-theme", "dark" if dark else "light")


def test_a_script_in_a_generated_page_cannot_reach_airflow(page: Page, stack: RunningStack) -> None:
    hostile: Path = stack.settings.docs("news") / "hostile" / "index.html"
    hostile.parent.mkdir(parents=True)
    hostile.write_text(HOSTILE)
    page.goto(f"{stack.stack.airflow_url}/lakeloop/docs/news/hostile/index.html")
    expect(page).to_have_title("kept out")


def run_that_ingested(stack: RunningStack, partition: str) -> str:
    """The run that did the work on `partition`; started here when no other test had it done."""
    with stack.api() as api:
        if stack.context.lake.ledger.latest("ingest", partition, "done") is None:
            api.set_paused("news.ingest", paused=False)
            api.trigger("news.ingest", partition)
            assert finished(stack, "news.ingest") == "success"
        return next(
            str(run["dag_run_id"])
            for run in api.runs(["news.ingest"])
            if (record := api.xcom("news.ingest", run["dag_run_id"], "ingest", "record"))
            and (record["status"], record["partition"]) == ("done", partition)
        )


def finished(stack: RunningStack, dag_id: str) -> str:
    """The state of the DAG's newest run, once it has ended."""
    deadline = time.monotonic() + RUN_SECONDS
    with stack.api() as api:
        while (state := str(api.runs([dag_id])[-1]["state"])) in ACTIVE_STATES:
            assert time.monotonic() < deadline, f"{dag_id} is still {state} after {RUN_SECONDS:.0f} s"
            time.sleep(0.5)
    return state
