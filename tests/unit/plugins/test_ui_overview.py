"""The overview: a card for each loop with its health in words. A bad loop spoils only its own."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from lakeloop.attempt import Attempt
from lakeloop.errors import DataError, TooEarlyError
from lakeloop.evaluation.stored import OUTPUT, store
from lakeloop.settings import Settings
from lakeloop.stages.data.validate import validate
from lakeloop.stages.frame import status
from lakeloop.stages.frame.session import StageContext
from lakeloop.stages.release.asked import Asked
from tests.support.airflow import ROOT
from tests.support.evidence import evidence, model
from tests.support.records import NOON
from tests.support.released import released

ATTEMPT = Attempt("news.ingest:manual__1")


DAY = "2026-11-18"


def cards_of(page: str) -> dict[str, str]:
    """Loop -> its card."""
    return {part.partition('"')[0]: part for part in re.split(r'<article [^>]*id="', page)[1:]}


def health_of(client: TestClient) -> str:
    found = re.search(r'class="badge (\w+)">([^<]+)<', cards_of(client.get("/").text)["news"])
    assert found
    return found[2]


def test_a_card_says_how_a_loop_is_and_why(client: TestClient, ran: StageContext) -> None:
    card = cards_of(client.get("/").text)["news"]
    assert "needs attention" in card
    assert " waits: " in card
    assert f'<a href="/lakeloop/loops/news?day={DAY}#day">{DAY}</a>, not published' in card
    assert 'href="/lakeloop/loops/news"' in card
    with suppress(DataError), ran.stage("transform", DAY):
        assert health_of(client) == "good", "what waits is on its way while something is at work"
        assert "At work: transform" in client.get("/").text
        raise DataError("dbt found <no> rows")
    card = cards_of(client.get("/").text)["news"]
    assert "failing" in card
    assert "transform 2026-11-18 failed: dbt found &lt;no&gt; rows" in card


def test_a_loop_that_never_ran_says_so(client: TestClient, settings: Settings) -> None:
    assert health_of(client) == "never ran"


def test_a_stage_that_was_asked_for_before_its_time_changes_no_health(
    client: TestClient, settings: Settings
) -> None:
    context = StageContext.open("news", settings, ATTEMPT)
    with pytest.raises(TooEarlyError):
        validate(context, DAY)
    assert health_of(client) == "never ran"


def test_a_question_that_waits_leads_to_where_it_is_answered(
    client: TestClient, ran: StageContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Asked(loop="news", partition=DAY, candidate="finetune", over="v1", since=NOON)
    monkeypatch.setattr(status, "asked_now", lambda context: asked)  # evaluating takes its time
    for address in ("/", "/loops/news"):
        page = client.get(address).text
        assert f"An approval waits: {DAY}, candidate finetune beside champion v1, since 20" in page
        assert 'href="/dags/news.deploy/tasks/approve/required_actions"' in page
        assert f"lakeloop approve news --partition {DAY}" in page


def test_a_card_shows_champion_and_scores_over_time(
    client: TestClient, ran: StageContext, tmp_path: Path
) -> None:
    metric = ran.loop.metric.name
    found = store(ran.lake.files, evidence(model("baseline", {metric: 0.5})), tmp_path / "scratch")
    for number, day in enumerate(("2026-11-16", "2026-11-17", DAY)):
        with ran.stage("evaluate", day) as stage:
            stage.inputs(dataset="d" * 64)
            scores = {"baseline": 0.5, "finetune": 0.6 + number / 10, "champion": 0.9}
            stage.done(
                reason="",
                outputs={OUTPUT: found},
                metrics={f"{name}/{metric}": score for name, score in scores.items()},
            )
    released(ran, tmp_path)
    card = cards_of(client.get("/").text)["news"]
    assert "3 evaluations, from 0.6000 to 0.8000" in card
    assert '<a href="/lakeloop/models/news/v1">v1</a>, macro F1 0.8125' in card
    assert "Champion v1 is not rolled out yet" in card


def test_the_pages_of_a_loop_read_no_rows_of_its_tables(client: TestClient, ran: StageContext) -> None:
    before = client.get("/loops/news").text
    gone = [
        path
        for table in ("raw", "staging", "mart", "quarantine", "predictions", "evaluations")
        for path in ran.settings.home.glob(f"lake/**/{table}/**/*.parquet")
        if "_delta_log" not in path.parts
    ]
    for path in gone:
        path.unlink()
    assert re.sub("[0-9:]+ UTC", "", client.get("/loops/news").text).count("<tr>") == before.count("<tr>")
    assert "cannot be read" not in client.get("/").text


def test_looking_at_the_page_makes_no_tables(client: TestClient, settings: Settings) -> None:
    assert client.get("/").status_code == 200
    assert not settings.home.exists()


def test_a_broken_loop_spoils_only_itself(
    client: TestClient, ran: StageContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in (("broken", "name: broken\n"), ("news", (ROOT / "loops/news/loop.yaml").read_text())):
        (tmp_path / "loops" / name).mkdir(parents=True)
        (tmp_path / "loops" / name / "loop.yaml").write_text(text)
    monkeypatch.setenv("LAKELOOP_LOOPS", str(tmp_path / "loops"))
    page = client.get("/").text
    broken, news = cards_of(page)["broken"], cards_of(page)["news"]
    assert "failing" in broken
    assert "Its status cannot be read" in broken
    assert "loops/broken/loop.yaml" in broken
    assert "/start/broken" not in broken
    assert "needs attention" in news
    assert "2026-11-18" in news


def test_without_loops_the_page_says_how_to_begin(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKELOOP_LOOPS", str(tmp_path))
    assert "There are no loops yet" in client.get("/").text
