"""The pages, filled from a real lake and a real journal."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from lakeloop.attempt import Attempt
from lakeloop.errors import DataError
from lakeloop.evaluation.stored import store
from lakeloop.gate.decide import Decision
from lakeloop.records import Counts, StageRecord, now
from lakeloop.registry.history import ModelCard
from lakeloop.registry.registry import Registry
from lakeloop.settings import Settings
from lakeloop.spec.identity import identity
from lakeloop.stages.frame.session import StageContext
from lakeloop.tracking.journal import JournalIdentity
from lakeloop.tracking.progress import Mirrored
from tests.support.airflow import ROOT
from tests.support.artifacts import make_artifact
from tests.support.evidence import evidence, model
from tests.support.records import provenance

ATTEMPT = Attempt("news.ingest:manual__1")


@pytest.fixture
def ran(settings: Settings) -> StageContext:
    """A loop of which one stage ended."""
    context = StageContext.open("news", settings, ATTEMPT)
    with context.stage("ingest", "2026-11-18", config={"files": 1}) as stage:
        stage.tracker.log({"quarantined_share": 0.25})
        stage.done(
            reason="4 lines <b>of</b> a drop",
            outputs={"raw": "0" * 64},
            counts=Counts(read=4, accepted=3, quarantined=1),
        )
    return context


def test_the_overview_says_how_each_stage_ended_and_what_is_left(
    client: TestClient, ran: StageContext
) -> None:
    page = client.get("/").text
    assert "2026-11-18" in page
    assert "3 of 4" in page
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
    overview = client.get("/").text
    assert 'href="/lakeloop/why/news"' in overview
    assert "1 training job(s): 0.50 h, 1.00 CPU h, at most 1.0 GB" in overview


def test_experiments_are_shown_apart_with_their_reports(client: TestClient, ran: StageContext) -> None:
    fast, day = replace(ran, experiment="fast"), "2026-11-18"
    with fast.stage(fast.record_name("train", "finetune"), day) as stage:
        stage.done(reason="trained")
    assert "not evaluated yet" in client.get("/").text
    report = ran.settings.reports("news") / f"{day}-fast" / "index.html"
    report.parent.mkdir(parents=True)
    report.write_text("the report of fast")
    with fast.stage(fast.record_name("evaluate"), day) as stage:
        metrics = {f"{name}/{ran.loop.metric.name}": 0.9 for name in ("finetune", "champion")}
        stage.done(reason="evaluated", metrics=metrics, links={"report": str(report)})
    page = client.get("/").text
    assert "finetune 0.9000, champion 0.9000" in page
    assert f'<a href="/lakeloop/reports/news/{day}-fast/index.html">fast</a>' in page
    assert client.get(f"/reports/news/{day}-fast/index.html").text == "the report of fast"
    assert "@fast" not in page, "no stage of production"


def test_what_comes_from_data_is_shown_as_text(client: TestClient, ran: StageContext) -> None:
    page = client.get("/").text
    assert "4 lines &lt;b&gt;of&lt;/b&gt; a drop" in page
    assert "<b>of</b>" not in page


def test_what_failed_and_what_runs_is_shown_with_the_reason(client: TestClient, ran: StageContext) -> None:
    with suppress(DataError), ran.stage("transform", "2026-11-18"):
        assert "At work now: <b>transform</b> 2026-11-18" in client.get("/").text
        raise DataError("dbt found <no> rows", found="0 rows")
    page = client.get("/").text
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
    assert found.headers["location"] == "/lakeloop/docs/news/2026-11-18/index.html"
    assert client.get("/newest/news/anything").status_code == 422


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
    assert "The status of this loop cannot be read" in page
    assert "loops/broken/loop.yaml" in page
    assert "3 of 4" in page


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
    answer = client.get("/")
    assert answer.status_code == 200
    assert "cannot be read" not in answer.text
    assert '<td class="tight">distil</td>' in answer.text
    assert "distil was done" in answer.text
    assert '<td class="tight">dataset-of_old</td>' in answer.text


def test_without_loops_the_page_says_how_to_begin(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKELOOP_LOOPS", str(tmp_path))
    assert "There are no loops yet" in client.get("/").text


@pytest.fixture
def journal(ran: StageContext) -> Path:
    identity = JournalIdentity("news", "ingest", "2026-11-18", ATTEMPT.token)
    return identity.path(ran.settings.journals)


def test_a_run_that_is_not_mirrored_yet_shows_its_journal(client: TestClient, journal: Path) -> None:
    page = client.get(f"/wandb/news/ingest/2026-11-18/{journal.stem}").text
    assert "Not copied to W&amp;B yet" in page
    assert "4 lines &lt;b&gt;of&lt;/b&gt; a drop" in page
    assert "0.25" in page


def test_an_offline_run_shows_its_files_and_how_to_send_them(
    client: TestClient, journal: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "offline-run-1"
    folder.mkdir()
    (folder / "run-1.wandb").write_bytes(b"12345")
    _mirrored(journal, "offline", str(folder))
    page = client.get(f"/wandb/news/ingest/2026-11-18/{journal.stem}").text
    assert f"wandb sync {folder}" in page
    assert "run-1.wandb" in page
    assert "5 bytes" in page


def test_an_online_run_leads_to_it(client: TestClient, journal: Path) -> None:
    _mirrored(journal, "online", "https://wandb.ai/team/lakeloop/runs/1")
    answer = client.get(f"/wandb/news/ingest/2026-11-18/{journal.stem}", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (307, "https://wandb.ai/team/lakeloop/runs/1")


@pytest.mark.parametrize("path", ["news/ingest/2026-11-18/nothing", "news/..%2f..%2fhome/x/y"])
def test_a_run_that_is_not_there_is_not_found(client: TestClient, journal: Path, path: str) -> None:
    assert client.get(f"/wandb/{path}").status_code == 404


def test_a_model_version_that_is_not_there_is_not_found(client: TestClient, ran: StageContext) -> None:
    assert client.get("/models/news/v1").status_code == 404


def test_a_model_version_is_shown_beside_those_it_was_compared_with(
    client: TestClient, ran: StageContext, tmp_path: Path
) -> None:
    champion = model("champion", {"macro_f1": 0.75}, version="v1")
    found = evidence(model("baseline", {"macro_f1": 0.8125}), champion=champion)
    stored = store(ran.lake.files, found, tmp_path / "scratch")
    make_artifact(tmp_path / "model", ("sports", "tech"))
    registry = Registry(ran.lake)
    card = ModelCard(
        candidate="baseline",
        method="keywords",
        dataset_digest="d" * 64,
        metrics={"macro_f1": 0.8125},
        decision=Decision(accepted=None, reason="for the test", checks=()),
    )
    registry.register(tmp_path / "model", card.model_copy(update={"evidence": stored}))
    page = " ".join(client.get("/models/news/v1").text.split())
    assert "Scores on 445 test rows" in page
    assert "champion v1" in page
    assert (
        '<td class="wide">macro F1</td><td class="number">0.8125</td><td class="number">0.7500</td>' in page
    )

    assert "Evaluation report" not in page, "there is none on this machine"
    report = ran.settings.reports("news") / found.partition / "index.html"
    report.parent.mkdir(parents=True)
    report.write_text("all of it")
    link = f"/lakeloop/reports/news/{found.partition}/index.html"
    assert f'<a href="{link}">Evaluation report</a>' in client.get("/models/news/v1").text

    make_artifact(tmp_path / "older", ("sports", "tech"), seed=3)
    registry.register(tmp_path / "older", card)
    older = client.get("/models/news/v2").text
    assert '<td class="number">0.8125</td>' in older
    assert "0.7500" not in older


def test_a_journal_that_cannot_be_read_says_so(client: TestClient, journal: Path) -> None:
    journal.with_name("bad.jsonl").write_text("garbage\n")
    answer = client.get("/wandb/news/ingest/2026-11-18/bad")
    assert answer.status_code == 409
    assert "bad.jsonl:1: not a journal entry" in answer.json()["detail"]


def test_a_model_of_a_loop_without_tables_says_so(client: TestClient, settings: Settings) -> None:
    answer = client.get("/models/news/v1")
    assert answer.status_code == 409
    assert "registry" in answer.json()["detail"]
    assert not settings.home.exists()


def test_a_model_of_a_broken_loop_says_so(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "loops/broken").mkdir(parents=True)
    (tmp_path / "loops/broken/loop.yaml").write_text("name: broken\n")
    monkeypatch.setenv("LAKELOOP_LOOPS", str(tmp_path / "loops"))
    answer = client.get("/models/broken/v1")
    assert answer.status_code == 409
    assert "loops/broken/loop.yaml" in answer.json()["detail"]


def _mirrored(journal: Path, mode: str, run: str) -> None:
    values = {"size": 1, "mode": mode, "run_id": "1", "run": run, "exit_code": 0, "finished_at": now()}
    Mirrored.model_validate(values).write(journal)
