"""The page on what was made of a day's rows, and the way to it, from a real lake."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from lakeloop.records import Counts
from lakeloop.stages.frame.session import StageContext

DAY = "2026-11-17"


def publish(context: StageContext, mart: str, rows: int) -> None:
    with context.stage("ingest", DAY) as stage:
        stage.done(reason="", outputs={"raw": mart}, counts=Counts(read=rows, accepted=rows))
    with context.stage("transform", DAY) as stage:
        stage.inputs(raw=mart)
        stage.done(reason="", outputs={"staging": mart}, counts=Counts(read=rows, accepted=rows))
    with context.stage("validate", DAY) as stage:
        stage.inputs(staging=mart)
        stage.done(reason="", outputs={"mart": mart}, counts=Counts(read=rows, accepted=rows))


def train(context: StageContext, mart: str) -> None:
    with context.stage("dataset", DAY) as stage:
        stage.inputs(**{f"mart/{DAY}": mart})
        stage.done(reason="", outputs={"digest": "d" * 64, "rows": "1400", "partitions": f"{DAY}..{DAY}"})
    with context.stage("train-baseline", DAY) as stage:
        stage.inputs(dataset="d" * 64)
        stage.done(reason="", outputs={"digest": "e" * 64})


def test_a_day_leads_to_what_was_made_of_its_rows(client: TestClient, ran: StageContext) -> None:
    publish(ran, "1" * 64, 1500)
    page = client.get(f"/loops/news?day={DAY}").text
    link = f'<a href="/lakeloop/impact/news/{DAY}">What was made of '
    assert f"{link}its rows</a>" in page
    assert "each with other rows" not in page
    page = client.get(f"/impact/news/{DAY}").text
    assert "published with these rows alone" in page
    assert "Nothing was made of these rows." in page
    train(ran, "1" * 64)
    publish(ran, "2" * 64, 1501)
    page = client.get(f"/loops/news?day={DAY}").text
    assert f"{link}the rows of before</a>" in page
    assert "Published 2 times, each with other rows." in page


def test_each_state_of_a_day_is_shown_with_what_was_made_of_it_the_newest_first(
    client: TestClient, ran: StageContext
) -> None:
    publish(ran, "1" * 64, 1500)
    train(ran, "1" * 64)
    publish(ran, "2" * 64, 1501)
    page = client.get(f"/impact/news/{DAY}").text
    now, before = page.index("Published now: 1,501 rows"), page.index("Published before: 1,500 rows")
    assert now < page.index("Nothing was made of these rows.") < before
    assert before < page.index("baseline <code>" + "e" * 12)
    assert "<b>1 data set</b>, <b>0 versions</b>, <b>0 answers</b> are of these rows" in page
    assert "No version learnt from rows of the day that are published no more." in page
    assert f"lakeloop impact news --partition {DAY}" in page
    assert f'href="/lakeloop/loops/news?day={DAY}#day"' in page


@pytest.mark.parametrize(("day", "status"), [("2020-01-01", 200), ("yesterday", 422), ("%3Cb%3E", 422)])
def test_a_day_that_was_never_published_is_said(
    day: str, status: int, client: TestClient, ran: StageContext
) -> None:
    answer = client.get(f"/impact/news/{day}")
    assert answer.status_code == status
    if status == 200:
        assert f"{day} was never published." in answer.text


def test_a_loop_without_tables_has_none(client: TestClient) -> None:
    assert "was never published" in client.get(f"/impact/news/{DAY}").text
