"""The page of a model version, and the button that moves the champion, on a real registry."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from airflow.api_fastapi.app import init_auth_manager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx import Response

from lakeloop.attempt import Attempt
from lakeloop.evaluation.stored import store
from lakeloop.gate.decide import Decision
from lakeloop.registry.history import BY_HAND, ROLLBACK, ModelCard
from lakeloop.registry.registry import Registry
from lakeloop.settings import Settings
from lakeloop.stages.frame.session import StageContext
from tests.support.artifacts import make_artifact
from tests.support.evidence import evidence, model
from tests.support.live_requests import Requests
from tests.support.released import registered, released

ATTEMPT = Attempt("news.ingest:manual__1")


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
    link = f"/lakeloop/view/reports/news/{found.partition}/index.html"
    assert f'<a href="{link}">Evaluation report</a>' in client.get("/models/news/v1").text

    make_artifact(tmp_path / "older", ("sports", "tech"), seed=3)
    registry.register(tmp_path / "older", card)
    older = client.get("/models/news/v2").text
    assert '<td class="number">0.8125</td>' in older
    assert "0.7500" not in older


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


@pytest.fixture
def browser(app: FastAPI, settings: Settings, client: TestClient) -> Iterator[TestClient]:
    """A browser of the user ada, who may trigger DAGs."""
    token = init_auth_manager().generate_jwt(SimpleAuthManagerUser(username="ada", role="user"))
    with TestClient(app, headers={"Authorization": f"Bearer {token}"}) as opened:
        yield opened


def form_of(page: str, reason: str) -> dict[str, str]:
    """What the form of a version's page sends when `reason` is filled in."""
    return {**dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page)), "reason": reason}


def champion(context: StageContext) -> str:
    found = Registry(context.lake).champion()
    assert found is not None
    return found.name


def pressed(browser: TestClient, version: str, form: dict[str, str]) -> Response:
    return browser.post(f"/models/news/{version}/champion", data=form, follow_redirects=False)


def test_the_button_rolls_back_and_says_who_when_and_why(
    browser: TestClient, ran: StageContext, tmp_path: Path
) -> None:
    for number in (1, 2):
        released(ran, tmp_path, number)
    page = browser.get("/models/news/v1").text
    assert "Roll back to v1</button>" in page
    assert "v2 is champion now" in page
    done = pressed(browser, "v1", form_of(page, "answers <badly>"))
    assert (done.status_code, done.headers["location"]) == (303, "/lakeloop/models/news/v1")
    assert champion(ran) == "v1"
    move = Registry(ran.lake).read().moves[-1]
    assert (move.by, move.reason, move.cause) == ("ada", "answers <badly>", ROLLBACK)
    page = browser.get("/models/news/v1").text
    assert re.search(r"ada made it champion on [0-9: -]+ UTC: answers &lt;badly&gt;", page)
    assert "</button>" not in page
    assert "v2 → v1" in browser.get("/loops/news").text


def test_a_version_that_was_rolled_back_is_promoted_by_hand(
    browser: TestClient, ran: StageContext, tmp_path: Path
) -> None:
    for number in (1, 2):
        released(ran, tmp_path, number)
    Registry(ran.lake).rollback("a mistake")
    page = browser.get("/models/news/v2").text
    assert "Make champion: v2</button>" in page
    assert pressed(browser, "v2", form_of(page, "it was none")).status_code == 303
    move = Registry(ran.lake).read().moves[-1]
    assert (move.version, move.by, move.cause) == ("v2", "ada", BY_HAND)


def test_without_a_reason_nothing_is_moved(browser: TestClient, ran: StageContext, tmp_path: Path) -> None:
    for number in (1, 2):
        released(ran, tmp_path, number)
    answer = pressed(browser, "v1", form_of(browser.get("/models/news/v1").text, "  "))
    assert answer.status_code == 409
    assert "a move by hand needs a reason" in answer.text
    assert champion(ran) == "v2"


def test_who_looked_at_an_older_champion_is_told_so_and_keeps_the_words(
    browser: TestClient, ran: StageContext, tmp_path: Path
) -> None:
    for number in (1, 2):
        released(ran, tmp_path, number)
    form = form_of(browser.get("/models/news/v1").text, "my reason")
    released(ran, tmp_path, 3)
    answer = pressed(browser, "v1", form)
    assert answer.status_code == 409
    assert "the champion is another one than when this page was opened" in answer.text
    assert 'value="my reason"' in answer.text
    assert champion(ran) == "v3"
    assert pressed(browser, "v1", form_of(answer.text, "my reason")).status_code == 303


def test_a_version_without_weights_has_no_button(
    browser: TestClient, ran: StageContext, tmp_path: Path
) -> None:
    for number in (1, 2, 3):
        released(ran, tmp_path, number)
    page = browser.get("/models/news/v1").text
    Registry(ran.lake).forget({"v1": "keep.versions <1>"})
    answer = pressed(browser, "v1", form_of(page, "because"))
    assert "the weights of v1 are gone" in answer.text
    assert "</button>" not in answer.text
    assert "Its weights are gone: keep.versions &lt;1&gt;" in browser.get("/models/news/v1").text


def test_who_may_only_look_has_no_button_and_cannot_post(
    client: TestClient, browser: TestClient, ran: StageContext, tmp_path: Path
) -> None:
    for number in (1, 2):
        released(ran, tmp_path, number)
    assert "</button>" not in client.get("/models/news/v1").text
    others = form_of(browser.get("/models/news/v1").text, "because")
    own = {**others, "token": form_of(client.get("/loops/news").text, "")["token"]}
    for form in (others, own, {"reason": "because", "token": ""}, {"reason": "because", "token": "1.x"}):
        assert pressed(client, "v1", form).status_code in {403, 422}
    assert pressed(browser, "v1", {**others, "token": "1.x"}).status_code == 403
    assert champion(ran) == "v2"


@pytest.fixture
def tried(ran: StageContext, tmp_path: Path) -> StageContext:
    """v2, a canary beside v1 that had requests."""
    released(ran, tmp_path, 1)
    version = registered(ran, tmp_path, 2)
    Registry(ran.lake).begin_trial(
        version.name, "canary", 0.1, over="v1", reason="better <on> the rows", cause="e2"
    )
    Requests(ran).ask(100, fails=lambda number: number == 7).write()
    return ran


def test_a_version_on_trial_is_shown_with_what_is_known_of_it(
    client: TestClient, tried: StageContext
) -> None:
    page = " ".join(client.get("/loops/news").text.split())
    assert "beside v1, canary of 10% of the requests" in page
    assert "better &lt;on&gt; the rows" in page
    assert "50 of 300 requests" in page
    assert '<td>requests that failed</td><td class="number">1 of 50</td>' in page
    assert "Take v2 back" not in page, "ann may look only"


def test_the_button_ends_a_trial_once_and_says_who_and_why(browser: TestClient, tried: StageContext) -> None:
    page = browser.get("/loops/news").text
    assert "Take v2 back</button>" in page
    form = form_of(page, "odd <answers>")
    address = "/models/news/v2/trial"
    assert browser.post(address, data={**form, "reason": " "}).status_code == 409
    assert Registry(tried.lake).read().trial is not None

    done = browser.post(address, data=form, follow_redirects=False)
    assert (done.status_code, done.headers["location"]) == (303, "/lakeloop/loops/news#release")
    history = Registry(tried.lake).read()
    assert (history.trial, champion(tried)) == (None, "v1")
    assert (history.trial_ends[-1].by, history.trial_ends[-1].reason) == ("ada", "odd <answers>")
    page = browser.get("/loops/news").text
    assert "odd &lt;answers&gt;" in page
    assert "Take v2 back" not in page
    again = browser.post(address, data=form)
    assert again.status_code == 409
    assert "not tried any more" in again.text


def test_who_may_only_look_ends_no_trial(client: TestClient, tried: StageContext) -> None:
    form = form_of(client.get("/models/news/v2").text, "odd")
    assert client.post("/models/news/v2/trial", data=form).status_code in {401, 403}
    assert Registry(tried.lake).read().trial is not None
