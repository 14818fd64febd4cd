"""The pages of one run: what W&B has of it, and the curves of a training; from real journals."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from lakeloop.attempt import Attempt
from lakeloop.errors import DataError
from lakeloop.records import now
from lakeloop.settings import Settings
from lakeloop.stages.frame.session import StageContext
from lakeloop.tracking.journal import JournalIdentity, JournalTracker
from lakeloop.tracking.progress import Mirrored

ATTEMPT = Attempt("news.ingest:manual__1")


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


def test_a_journal_that_cannot_be_read_says_so(client: TestClient, journal: Path) -> None:
    journal.with_name("bad.jsonl").write_text("garbage\n")
    answer = client.get("/wandb/news/ingest/2026-11-18/bad")
    assert answer.status_code == 409
    assert "bad.jsonl:1: not a journal entry" in answer.json()["detail"]


def _mirrored(journal: Path, mode: str, run: str) -> None:
    values = {"size": 1, "mode": mode, "run_id": "1", "run": run, "exit_code": 0, "finished_at": now()}
    Mirrored.model_validate(values).write(journal)


@pytest.fixture
def training(settings: Settings) -> Path:
    """The journal of a training of two epochs that was ended by an error."""
    identity = JournalIdentity("news", "train-finetune-job", "2026-11-18", "job-1-20261118T1")
    path = identity.path(settings.journals)
    with suppress(DataError), JournalTracker(path, identity) as tracker:
        tracker.config({"settings": {"epochs": {"value": 2, "origin": "loop <file>"}}})
        for epoch in (1, 2):
            for step in (10, 20):
                tracker.log({"train/loss": 1 / epoch / step, "train/seconds": 1.0}, step * epoch)
            measured = {"epoch": epoch, "train/epoch_loss": 0.5, "validation/loss": 0.25 / epoch}
            tracker.log({**measured, "validation/macro_f1": 0.5 + epoch / 10}, 20 * epoch)
        raise DataError("nothing <was> learnt")
    return path


def test_the_curves_of_a_training_are_drawn_with_its_epochs(client: TestClient, training: Path) -> None:
    page = client.get(f"/curves/news/train-finetune-job/2026-11-18/{training.stem}").text
    titles = re.findall(r"<figcaption>([^<]+)<", page)
    assert titles == ["Loss", "validation: macro F1"]
    assert re.findall(r'class="key s\d"></span>([^<]+)<', page) == [
        "training, by step",
        "training, by epoch",
        "validation",
    ]
    assert "validation: macro F1 from 0.6000 to 0.7000, 2 points" in page
    assert '<td class="number">2</td>' in page
    assert "loop &lt;file&gt;" in page
    assert "nothing &lt;was&gt; learnt" in page
    assert '<a href="/lakeloop/loops/news#trainings">Trainings</a>' in page


def test_a_training_at_work_shows_how_far_it_is(client: TestClient, settings: Settings) -> None:
    identity = JournalIdentity("news", "train-baseline-job", "2026-11-18", "job-2")
    with JournalTracker(identity.path(settings.journals), identity) as tracker:
        page = client.get("/curves/news/train-baseline-job/2026-11-18/job-2").text
        assert "at work" in page
        assert "no step was told yet" in page
        tracker.log({"validation/macro_f1": 0.75})
    page = client.get("/curves/news/train-baseline-job/2026-11-18/job-2").text
    assert "this method learns at once" in page
    assert "0.7500" in page


def test_the_page_of_a_loop_leads_to_its_trainings(
    client: TestClient, ran: StageContext, training: Path
) -> None:
    with ran.stage("train-finetune", "2026-11-18") as stage:
        stage.inputs(dataset="d" * 64)
        metrics = {"validation/macro_f1": 0.625, "seconds": 12.0}
        stage.done(reason="", metrics=metrics, links={"training_run": str(training)})
    page = client.get("/loops/news").text
    part = page[page.index('id="trainings"') :]
    assert f'href="/lakeloop/curves/news/train-finetune-job/2026-11-18/{training.stem}"' in part
    assert "0.6250" in part


@pytest.mark.parametrize("path", ["train-x-job/2026-11-18/nothing", "..%2f..%2fhome/x/y"])
def test_curves_that_are_not_there_are_not_found(client: TestClient, settings: Settings, path: str) -> None:
    assert client.get(f"/curves/news/{path}").status_code == 404


def test_a_report_opens_below_the_way_back_and_alone_where_it_lay(
    client: TestClient, settings: Settings
) -> None:
    report = settings.reports("news") / "2026-11-18" / "index.html"
    report.parent.mkdir(parents=True)
    report.write_text("<h1>All of it</h1>")
    assert client.get("/reports/news/2026-11-18/index.html").text == "<h1>All of it</h1>"
    around = client.get("/view/reports/news/2026-11-18/index.html")
    assert '<iframe src="/lakeloop/reports/news/2026-11-18/index.html"' in around.text
    assert '<a href="/lakeloop/loops/news">news</a>' in around.text
    assert "frame-src 'self'" in around.headers["Content-Security-Policy"]
    for missing in ("docs/news/2026-11-18/index.html", "reports/news/..%2f..%2fx", "other/news/x"):
        assert client.get(f"/view/{missing}").status_code in {404, 422}
