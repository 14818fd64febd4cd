"""The button that starts a loop, on a real API server with a real database: Airflow's own answers decide."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, cast

import pyarrow as pa
import pytest
from airflow.api_fastapi.app import init_auth_manager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from fastapi import FastAPI
from fastapi.testclient import TestClient

from lakeloop.attempt import Attempt
from lakeloop.lake.tables import QUARANTINE
from lakeloop.local.airflow_api import AirflowApi
from lakeloop.records import Counts
from lakeloop.settings import Settings
from lakeloop.stages.catalogue import DAGS
from lakeloop.stages.frame.session import StageContext
from tests.support.airflow import make_database, store_dags

pytestmark = pytest.mark.slow

Browser = Callable[[str, str], TestClient]


@pytest.fixture(scope="module")
def airflow() -> FastAPI:
    """Airflow's API server with our pages in it."""
    make_database()
    store_dags()
    from airflow.api_fastapi.main import app

    return app


@pytest.fixture
def browser(airflow: FastAPI, settings: Settings) -> Iterator[Browser]:
    """Makes the browser of a user with this name and role, who is logged in: it has Airflow's cookie."""
    opened: list[TestClient] = []

    def log_in(name: str, role: str) -> TestClient:
        token = init_auth_manager().generate_jwt(SimpleAuthManagerUser(username=name, role=role))
        client = TestClient(airflow, base_url="http://127.0.0.1:8080", cookies={"_token": token})
        opened.append(client.__enter__())
        return client

    yield log_in
    for client in opened:
        client.__exit__(None, None, None)


@pytest.fixture
def admin(browser: Browser) -> TestClient:
    return browser("ada", "admin")


def api_of(client: TestClient) -> AirflowApi:
    return AirflowApi("http://testserver", cast("Any", client))


def paused(client: TestClient) -> dict[str, bool]:
    return api_of(client).paused_of("news")


def token_of(page: str) -> str:
    found = re.search(r'name="token" value="([^"]+)"', page)
    assert found
    return found[1]


@pytest.fixture
def _all_paused(admin: TestClient) -> None:
    api = api_of(admin)
    for name in reversed(DAGS):
        api.set_paused(f"news.{name}", paused=True)


@pytest.mark.usefixtures("_all_paused")
def test_the_page_says_what_will_happen_and_changes_nothing(admin: TestClient) -> None:
    page = admin.get("/lakeloop/start/news")
    assert page.status_code == 200, page.text
    assert "2026-11-16 to 2026-11-20: 5 run(s) of news.ingest" in page.text
    assert "news.transform, news.ingest" in page.text
    assert "form-action &#39;self&#39;" not in page.headers["content-security-policy"]
    assert "form-action 'self'" in page.headers["content-security-policy"]
    assert all(paused(admin).values())


@pytest.mark.usefixtures("_all_paused")
def test_the_button_switches_all_dags_on_and_sends_the_days_through(admin: TestClient) -> None:
    token = token_of(admin.get("/lakeloop/start/news").text)
    form = {"token": token, "first": "2026-11-17", "last": "2026-11-18"}
    done = admin.post("/lakeloop/start/news", data=form)
    assert done.status_code == 200, done.text
    assert "This was done" in done.text
    assert not any(paused(admin).values())
    runs = api_of(admin).runs(["news.ingest"])
    assert [run["partition_key"] for run in runs] == ["2026-11-17", "2026-11-18"]
    assert {run["triggering_user_name"] for run in runs} == {"ada"}

    again = admin.post("/lakeloop/start/news", data=form)
    assert "2026-11-17, 2026-11-18: the schedule leaves them out, or they run now" in again.text
    others = admin.post("/lakeloop/start/news", data={**form, "last": "2026-11-20"})
    assert "There is already a running backfill for dag news.ingest" in others.text
    assert len(api_of(admin).runs(["news.ingest"])) == 2


@pytest.mark.usefixtures("_all_paused")
def test_a_form_from_elsewhere_is_refused_though_the_browser_sends_the_cookie(
    admin: TestClient, browser: Browser
) -> None:
    others = token_of(browser("bob", "admin").get("/lakeloop/start/news").text)
    until, signature = token_of(admin.get("/lakeloop/start/news").text).split(".")
    tokens = {
        "": 422,
        "1.abc": 403,
        "\N{SNOWMAN}": 403,
        others: 403,
        f"{int(until) + 1}.{signature}": 403,
    }
    for token, expected in tokens.items():
        answer = admin.post("/lakeloop/start/news", data={"token": token} if token else {})
        assert answer.status_code == expected, token
    assert all(paused(admin).values())


@pytest.mark.usefixtures("_all_paused")
def test_who_may_only_look_has_no_button_and_cannot_post(browser: Browser) -> None:
    ann = browser("ann", "viewer")
    assert "/lakeloop/start/news" not in ann.get("/lakeloop/").text
    assert ann.get("/lakeloop/start/news").status_code == 403
    assert ann.post("/lakeloop/start/news", data={"token": "x"}).status_code == 403
    assert all(paused(ann).values())


def test_who_may_change_has_the_button(browser: Browser) -> None:
    assert 'href="/lakeloop/start/news"' in browser("ursula", "user").get("/lakeloop/").text


def test_days_that_are_none_are_said_on_the_page(admin: TestClient) -> None:
    page = admin.get("/lakeloop/start/news", params={"first": "2026-11-18", "last": "2026-11-17"})
    assert page.status_code == 200
    assert "not a range of days" in page.text
    assert "Start news</button>" not in page.text


def test_days_of_a_quarantine_are_done_anew_in_the_name_of_the_user_and_with_the_reason(
    admin: TestClient, settings: Settings
) -> None:
    day = "2026-11-18"
    context = StageContext.open("news", settings, Attempt("news.ingest:manual__1"))
    values = {"partition": day, "stage": "ingest", "reason": "wrong_type", "source_file": "drop.jsonl"}
    rows = pa.Table.from_pylist([{**values, "source_line": 1, "raw": "x", "readmitted": False}], QUARANTINE)
    with context.stage("ingest", day, config={"source": "of before"}) as stage:
        fence = stage.claim()
        context.lake.replace("quarantine", rows, where={"partition": day, "stage": "ingest"}, fence=fence)
        stage.done(reason="", outputs={"raw": "0" * 64}, counts=Counts(read=1, accepted=0, quarantined=1))
    token = token_of(admin.get("/lakeloop/quarantine/news").text)
    done = admin.post("/lakeloop/quarantine/news/readmit", data={"token": token, "why": "the type was wrong"})
    assert done.status_code == 200, done.text
    run = api_of(admin).runs(["news.ingest"])[-1]
    assert (run["conf"], run["note"], run["triggering_user_name"]) == (
        {"partition": day},
        "re-admission: the type was wrong",
        "ada",
    )
