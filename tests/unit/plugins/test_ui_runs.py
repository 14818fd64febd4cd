"""The pages of one run: what W&B has of it, and the curves of a training; from real journals."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from lakeloop.attempt import Attempt
from lakeloop.records import now
from lakeloop.stages.frame.session import StageContext
from lakeloop.tracking.journal import JournalIdentity
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
