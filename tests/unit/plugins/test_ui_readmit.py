"""Letting rows in from the page of a quarantine: who may, what is kept of it, and which runs it starts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest
from airflow.api_fastapi.app import init_auth_manager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from fastapi import FastAPI
from fastapi.testclient import TestClient
from lakeloop_ui.routes import quarantine as routes

from lakeloop.errors import ServiceError
from lakeloop.lake.corrections import corrections_of
from lakeloop.settings import Settings
from lakeloop.stages.frame.session import StageContext
from tests.support.command import DAY, LOOP
from tests.support.quick_stages import quick, transform, validate

FILE = f"data/{DAY}.jsonl"
SPOT = {"day": DAY, "file": FILE, "line": "2"}


class Recorded:
    """In the place of Airflow's API: what it was asked to run."""

    def __init__(self) -> None:
        self.runs: list[tuple[str, Any, str]] = []
        self.refuses = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""

    def trigger(self, dag_id: str, *, conf: Any, note: str) -> str:
        if self.refuses:
            raise ServiceError("Airflow does not answer")
        self.runs.append((dag_id, conf, note))
        return "run"


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    recorded = Recorded()
    monkeypatch.setattr(routes, "airflow_of", lambda request: recorded)
    return recorded


@pytest.fixture
def project(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A loop of which one day has a row in quarantine that validate refused, and one that ingest did."""
    root = tmp_path / "root"
    for folder in ("loops/tickets", "data", "dbt"):
        (root / folder).mkdir(parents=True)
    monkeypatch.setenv("LAKELOOP_ROOT", str(root))
    quick(monkeypatch, root / "dbt")
    (root / "loops/tickets/loop.yaml").write_text(LOOP)
    rows = [{"id": "1", "text": "one", "team": "billing"}, {"id": "2", "text": "two\r\n<b>", "team": "sales"}]
    lines = [*map(json.dumps, rows), "broken"]
    (root / FILE).write_text("".join(f"{line}\n" for line in lines))
    run_day(opened())
    return root


def opened() -> StageContext:
    return StageContext.open("tickets", Settings())


def run_day(context: StageContext) -> None:
    from lakeloop.stages.data.ingest import ingest

    for stage in (ingest, transform, validate):
        stage(context, DAY)


@pytest.fixture
def editor(app: FastAPI, settings: Settings, client: TestClient) -> Iterator[TestClient]:
    """A browser of the user ada, who may change the loop's DAGs."""
    token = init_auth_manager().generate_jwt(SimpleAuthManagerUser(username="ada", role="admin"))
    with TestClient(app, headers={"Authorization": f"Bearer {token}"}) as browser:
        yield browser


def token_of(page: str) -> str:
    found = re.search(r'name="token" value="([^"]+)"', page)
    assert found, page
    return found[1]


def test_who_may_only_look_is_offered_nothing(client: TestClient, project: Path, api: Recorded) -> None:
    page = client.get("/quarantine/tickets").text
    assert "Re-admit" not in page
    assert ">edit</a>" not in page
    assert client.get("/quarantine/tickets/row", params=SPOT).status_code == 403
    assert client.post("/quarantine/tickets/readmit", data={"token": "x", "why": "y"}).status_code == 403
    assert api.runs == []


def test_days_with_mended_rules_are_done_anew_by_airflow(
    editor: TestClient, project: Path, api: Recorded
) -> None:
    token = token_of(editor.get("/quarantine/tickets?reason=label_unknown").text)
    form = {"token": token, "reason": "label_unknown", "why": "sales is a team now"}
    refused = editor.post("/quarantine/tickets/readmit", data=form)
    assert refused.status_code == 409
    assert "nothing of it would come in" in refused.text
    (project / "loops/tickets/loop.yaml").write_text(LOOP.replace("technical]", "technical, sales]"))
    assert "needs a reason" in editor.post("/quarantine/tickets/readmit", data={**form, "why": " "}).text
    started = editor.post("/quarantine/tickets/readmit", data=form)
    assert started.status_code == 200, started.text
    assert "Started, 1 day" in started.text
    assert api.runs == [("tickets.transform", {"partition": DAY}, "re-admission: sales is a team now")]
    elsewhere = editor.post("/quarantine/tickets/readmit", data={**form, "reason": "broken_json"})
    assert elsewhere.status_code == 409, "the rules of reading are the same"
    assert editor.post("/quarantine/tickets/readmit", data={**form, "token": "1.x"}).status_code == 403


def test_one_row_is_edited_and_its_day_done_anew(editor: TestClient, project: Path, api: Recorded) -> None:
    (link,) = re.findall(
        r'href="(/lakeloop/quarantine/tickets/row\?[^"]*line=2)"', editor.get("/quarantine/tickets").text
    )
    page = editor.get(link.removeprefix("/lakeloop").replace("&amp;", "&"))
    assert page.status_code == 200
    assert "two\r\n&lt;b&gt;</textarea>" in page.text
    form = {
        "token": token_of(page.text),
        "name": ["id", "text", "team"],
        "value": ["2", "two <b>", "marketing"],
    }
    wrong = editor.post("/quarantine/tickets/row", params=SPOT, data={**form, "why": "asked her"})
    assert wrong.status_code == 409
    assert "expected one of billing, technical, found marketing" in wrong.text
    assert 'value="marketing" list="known"' in wrong.text, "what was typed is still there"
    form["value"] = ["2", "two\n<b>", "technical"]
    assert (
        "needs a reason" in editor.post("/quarantine/tickets/row", params=SPOT, data={**form, "why": ""}).text
    )
    assert api.runs == []
    done = editor.post("/quarantine/tickets/row", params=SPOT, data={**form, "why": "asked her"})
    assert done.status_code == 200, done.text
    assert f"It is kept, and {DAY} is done anew." in done.text
    assert api.runs == [("tickets.ingest", {"partition": DAY}, "a corrected row: asked her")]
    (kept,) = corrections_of(opened().lake, DAY)
    assert (kept.corrected_by, kept.why, kept.fields["team"]) == ("ada", "asked her", "technical")
    run_day(opened())
    assert opened().lake.read("mart", partition=DAY).num_rows == 2
    texts = opened().lake.read("raw", partition=DAY)["text"].to_pylist()
    assert "two\r\n<b>" in texts, "what was not touched is as it was delivered"
    assert editor.get("/quarantine/tickets/row", params=SPOT).status_code == 404


def test_what_is_kept_stays_when_airflow_is_away(editor: TestClient, project: Path, api: Recorded) -> None:
    api.refuses = True
    token = token_of(editor.get("/quarantine/tickets/row", params=SPOT).text)
    form = {"token": token, "name": ["team"], "value": ["sales"], "discard": "true", "why": "spam"}
    done = editor.post("/quarantine/tickets/row", params=SPOT, data=form)
    assert "maintenance does its day anew: Airflow does not start it now" in done.text
    assert corrections_of(opened().lake, DAY)[0].record is None
