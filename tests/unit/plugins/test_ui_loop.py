"""The page of one loop, filled from a real lake: days, scores, decisions, what waits and what failed."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from lakeloop.attempt import Attempt
from lakeloop.errors import DataError
from lakeloop.gate.decide import Decision
from lakeloop.gate.rules.base import Requirement
from lakeloop.records import Counts, StageRecord
from lakeloop.registry.decisions import OUTPUT, SUPERSEDED, store_decision
from lakeloop.spec.identity import identity
from lakeloop.stages.frame.session import StageContext
from lakeloop.stages.watch.maintain import maintain
from tests.support.records import provenance

ATTEMPT = Attempt("news.ingest:manual__1")


def test_it_says_how_each_stage_ended_and_what_is_left(client: TestClient, ran: StageContext) -> None:
    page = client.get("/loops/news").text
    assert "2026-11-18" in page
    assert "3 of 4 rows of 1 day" in page
    assert "3 raw rows of 2026-11-18 are not transformed" in page
    assert 'href="/dags/news.ingest"' in page


def test_the_next_training_is_shown_beside_the_last(client: TestClient, ran: StageContext) -> None:
    assert client.get("/why/news").text.count("No training is due") == 1
    day = "2026-11-18"
    with ran.stage("validate", day) as stage:
        stage.done(reason="published", outputs={"mart": "1" * 64}, counts=Counts(read=5000, accepted=5000))
    page = client.get("/why/news").text
    assert "A training is due" in page
    assert "would run: the data set of 2026-11-18 is not frozen yet" in page
    with ran.stage("dataset", day, config=identity(ran.loop, "dataset")) as stage:
        stage.inputs(**{f"mart/{day}": "1" * 64})
        stage.done(reason="frozen", outputs={"dataset": "datasets/a", "digest": "a" * 64})
    with ran.stage("train-baseline", day, config={"train": {"method": "head", "seed": 3}}) as stage:
        stage.inputs(dataset="a" * 64)
        stage.done(
            reason="trained",
            outputs={"artifact": "candidates/a", "digest": "b" * 64},
            metrics={"seconds": 1800.0, "cpu_seconds": 3600.0, "peak_memory_mb": 1024.0},
        )
    page = client.get("/why/news").text
    assert "would run, because of" in page
    row = '<td class="tight">train.seed</td><td class="wide"><code>3</code></td><td class="wide">'
    assert f"{row}<code>17 (default)</code></td>" in page
    overview = client.get("/loops/news").text
    assert 'href="/lakeloop/why/news"' in overview
    assert "1 training job: 0.50 h, 1.00 CPU h, at most 1.0 GB" in overview


def test_experiments_are_shown_apart_with_their_reports(client: TestClient, ran: StageContext) -> None:
    fast, day = replace(ran, experiment="fast"), "2026-11-18"
    with fast.stage(fast.record_name("train", "finetune"), day) as stage:
        stage.done(reason="trained")
    assert "not evaluated yet" in client.get("/loops/news").text
    report = ran.settings.reports("news") / f"{day}-fast" / "index.html"
    report.parent.mkdir(parents=True)
    report.write_text("the report of fast")
    with fast.stage(fast.record_name("evaluate"), day) as stage:
        metrics = {f"{name}/{ran.loop.metric.name}": 0.9 for name in ("finetune", "champion")}
        stage.done(reason="evaluated", metrics=metrics, links={"report": str(report)})
    page = client.get("/loops/news").text
    assert "finetune 0.9000, champion 0.9000" in page
    assert f'<a href="/lakeloop/view/reports/news/{day}-fast/index.html">fast</a>' in page
    assert client.get(f"/reports/news/{day}-fast/index.html").text == "the report of fast"
    assert "@fast" not in page, "no stage of production"


def test_what_comes_from_data_is_shown_as_text(client: TestClient, ran: StageContext) -> None:
    page = client.get("/loops/news").text
    assert "4 lines &lt;b&gt;of&lt;/b&gt; a drop" in page
    assert "<b>of</b>" not in page


def test_what_failed_and_what_runs_is_shown_with_the_reason(client: TestClient, ran: StageContext) -> None:
    with suppress(DataError), ran.stage("transform", "2026-11-18"):
        assert "At work now: <b>transform</b> 2026-11-18" in client.get("/loops/news").text
        raise DataError("dbt found <no> rows", found="0 rows")
    page = client.get("/loops/news").text
    assert "At work now" not in page
    assert "Failed, and not mended since" in page
    assert "dbt found &lt;no&gt; rows\n  found: 0 rows" in page


def test_a_fixed_address_leads_to_the_newest_checks(client: TestClient, ran: StageContext) -> None:
    missing = client.get("/newest/news/data_docs")
    assert (missing.status_code, missing.json()["detail"]) == (404, "news has no checks yet")
    for day in ("2026-11-17", "2026-11-18"):
        with ran.stage("validate", day) as stage:
            report = ran.settings.docs("news") / day / "index.html"
            stage.done(reason="", outputs={"mart": "1"}, links={"data_docs": str(report)})
    found = client.get("/newest/news/data_docs", follow_redirects=False)
    assert found.headers["location"] == "/lakeloop/view/docs/news/2026-11-18/index.html"
    assert client.get("/newest/news/anything").status_code == 422


def test_a_stage_that_no_dag_runs_any_more_is_shown_without_a_link(
    client: TestClient, ran: StageContext
) -> None:
    for stage in ("distil", "dataset-of_old"):
        record = StageRecord(
            loop="news",
            stage=stage,
            partition="2026-11-18",
            status="done",
            reason=f"{stage} was done",
            provenance=provenance(),
        )
        ran.lake.record(record, None)
    answer = client.get("/loops/news")
    assert answer.status_code == 200
    assert "cannot be read" not in answer.text
    assert '<td class="tight">distil</td>' in answer.text
    assert "distil was done" in answer.text
    assert '<td class="tight">dataset-of_old</td>' in answer.text


def published(context: StageContext, day: str, *, rows: int = 10, to: str = "validate") -> None:
    """Take a day through its stages, up to `to`."""
    made = ""
    for stage, table in (("ingest", "raw"), ("transform", "staging"), ("validate", "mart")):
        with context.stage(stage, day) as work:
            if made:
                work.inputs(rows=made)
            made = f"{table} {day} {rows}"
            links = {"data_docs": str(context.settings.docs("news") / day / "index.html")}
            work.done(reason="", outputs={table: made}, counts=Counts(read=rows, accepted=rows), links=links)
        if stage == to:
            return


def cells_of(page: str) -> dict[str, str]:
    """Day -> its state in the calendar."""
    return {day: state for state, day in re.findall(r'class="day ([a-z-]+)" href="[^"]*day=([0-9-]+)#', page)}


def test_the_calendar_says_the_state_of_each_day(client: TestClient, ran: StageContext) -> None:
    for day in ("2026-11-14", "2026-11-16", "2026-11-17"):
        published(ran, day)
    published(ran, "2026-11-16", rows=12, to="ingest")
    with suppress(DataError), ran.stage("ingest", "2026-11-19"):
        raise DataError("more rows quarantined than allowed")
    assert cells_of(client.get("/loops/news").text) == {
        "2026-11-14": "published",
        "2026-11-15": "missing",
        "2026-11-16": "standing",
        "2026-11-17": "published",
        "2026-11-18": "under-way",
        "2026-11-19": "failed",
    }


def test_a_day_shows_its_counts_its_failure_and_where_its_parts_are(
    client: TestClient, ran: StageContext
) -> None:
    published(ran, "2026-11-17")
    page = client.get("/loops/news?day=2026-11-17").text
    assert "<b>10</b> read = <b>10</b> accepted + <b>0</b> quarantined + <b>0</b> duplicates" in page
    assert 'href="/lakeloop/view/docs/news/2026-11-17/index.html">Data Docs of the day' in page
    assert 'href="/dags/news.ingest/runs/manual__1">ingest</a>' in page
    assert 'aria-current="date"' in page
    with suppress(DataError), ran.stage("transform", "2026-11-18"):
        raise DataError("dbt found <no> rows")
    page = client.get("/loops/news?day=2026-11-18").text
    assert page.count("dbt found &lt;no&gt; rows") >= 2, "of the loop, and of the day"
    assert '/quarantine/news?day=2026-11-18">Quarantine of the day' in page


@pytest.mark.parametrize("day", ["2020-01-01", "yesterday", "%3Cb%3E"])
def test_a_day_that_the_loop_does_not_have_is_said(client: TestClient, ran: StageContext, day: str) -> None:
    answer = client.get(f"/loops/news?day={day}")
    assert answer.status_code == 200
    assert "news has no day " in answer.text
    assert "<b>'" not in answer.text


def test_months_come_three_at_a_time(client: TestClient, ran: StageContext) -> None:
    for month in ("2026-03", "2026-05", "2026-06", "2026-09"):
        published(ran, f"{month}-10")
    page = client.get("/loops/news").text
    assert re.findall(r"<caption>(\w+ \d+)", page) == ["June 2026", "September 2026", "November 2026"]
    earlier = re.search(r'href="/lakeloop(/loops/news\?month=[0-9-]+)#days">← earlier', page)
    assert earlier
    page = client.get(earlier[1]).text
    assert re.findall(r"<caption>(\w+ \d+)", page) == ["March 2026", "May 2026"]
    assert "?month=2026-11#days" in page
    assert "March 2026" in client.get("/loops/news?day=2026-03-10").text


def test_decisions_are_shown_check_by_check_newest_first(
    client: TestClient, ran: StageContext, tmp_path: Path
) -> None:
    checks = (Requirement(name="minimum score", passed=False, expected="at least 0.9", found="0.8 <low>"),)
    stored = store_decision(
        ran.lake.files, Decision(accepted=None, reason="too low", checks=checks), tmp_path / "scratch"
    )
    with ran.stage("release", "2026-11-17") as stage:
        stage.done(reason="v1 became champion", outputs={"version": "v1"})
    with ran.stage("release", "2026-11-18") as stage:
        stage.refused("too low by 0.1", outputs={OUTPUT: stored})
    page = client.get("/loops/news").text
    part = page[page.index('id="decisions"') :]
    assert part.index("too low by 0.1") < part.index("v1 became champion")
    assert "0.8 &lt;low&gt;" in part
    assert '<a href="/lakeloop/models/news/v1">v1</a>' in part


def test_a_question_that_a_newer_candidate_ended_is_neither_accepted_nor_refused(
    client: TestClient, ran: StageContext
) -> None:
    with ran.stage("release", "2026-11-17") as stage:
        stage.skipped("superseded by the candidate of 2026-11-18", outputs={SUPERSEDED: "2026-11-18"})
    with ran.stage("release", "2026-11-18") as stage:
        stage.skipped("waits for a person")
    part = client.get("/loops/news").text.partition('id="decisions"')[2].partition("</section>")[0]
    assert re.findall(r'<span class="badge (\w+)">(\w+)</span> <b>2026-11-17</b>', part) == [
        ("skipped", "superseded")
    ]
    assert "superseded by the candidate of 2026-11-18" in part
    assert "waits for a person" not in part


def test_every_page_has_a_way_back(client: TestClient, ran: StageContext) -> None:
    for path in ("/loops/news", "/loops/news?day=2026-11-18", "/why/news", "/quarantine/news"):
        page = client.get(path).text
        crumbs = page[page.index('<ol class="crumbs">') : page.index("</ol>")]
        assert '<a href="/lakeloop/">Lakeloop</a>' in crumbs
        assert 'aria-current="page"' in crumbs
    refused = client.get("/models/news/v7", headers={"Accept": "text/html"})
    assert refused.status_code == 404
    assert '<a href="/lakeloop/">' in refused.text
    assert "no model version &#39;v7&#39;" in refused.text


def test_the_disk_is_shown_as_maintenance_left_it(client: TestClient, ran: StageContext) -> None:
    assert "No maintenance has looked at it yet" in client.get("/loops/news").text
    assert maintain(ran, "2026-11-18").metrics["disk/tables"] > 0
    page = client.get("/loops/news").text
    assert '<td class="wide">tables</td>' in page
    assert "0 MB were freed" in page
