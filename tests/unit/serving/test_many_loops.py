"""One server, two loops: each answers its own, and what befalls one is nothing to the other."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from lakeloop.serving.slots import Named
from lakeloop.tasks.registry import TASKS, answer_type
from tests.support.app import Server
from tests.support.serving import FolderSource, make_news
from tests.support.waiting import until


@pytest.fixture
def numbers(tmp_path: Path) -> FolderSource:
    """Versions of the loop `stars`."""
    return FolderSource(tmp_path / "numbers", numbers=True)


@pytest.fixture
def server(tmp_path: Path, source: FolderSource, numbers: FolderSource) -> Iterator[Server]:
    """A server of the loops `news` and `stars`, neither of which has a champion yet."""
    server = Server(tmp_path, source, numbers=numbers)
    with server.client:
        yield server


@pytest.fixture
def both(server: Server, source: FolderSource, numbers: FolderSource) -> Server:
    """The same with version 1 of both in use."""
    source.promote(1)
    numbers.promote(1)
    server.await_version("v1")
    server.await_version("v1", "stars")
    return server


def test_each_loop_answers_in_the_words_of_its_task(both: Server) -> None:
    texts = {"texts": ["tech", "a good day"], "request_id": "r"}
    news = both.client.post("/v1/loops/news/predict", json=texts).json()
    stars = both.client.post("/v1/loops/stars/predict", json=texts).json()

    assert [set(answer) for answer in news["predictions"]] == [{"label", "score", "scores"}] * 2
    assert news["predictions"][0]["label"] == "tech"
    assert stars["predictions"] == [{"value": 2.5}, {"value": 4.0}]


def test_each_loop_logs_its_answers_to_its_own_lake(both: Server) -> None:
    for loop in ("news", "stars"):
        both.client.post(f"/v1/loops/{loop}/predict", json={"texts": ["good"], "request_id": loop})
    until(lambda: len(both.rows) >= 2)

    logged = {row["loop"]: (row["request_id"], json.loads(row["answer"])) for row in both.rows}
    assert logged["stars"] == ("stars", {"value": 4.0})
    assert logged["news"][0] == "news"
    assert set(logged["news"][1]) == {"label", "score", "scores"}


def test_the_loops_are_listed_with_what_answers_or_why_nothing_does(
    server: Server, numbers: FolderSource
) -> None:
    numbers.promote(3)
    server.await_version("v3", "stars")
    news, stars = server.client.get("/v1/loops").json()["loops"]

    assert (news["loop"], news["task"], news["ready"]) == ("news", "classification", False)
    assert news["problem"]["code"] == "no_model"
    assert "version" not in news
    model = server.loops["stars"].slots.champion.model
    assert model is not None
    assert datetime.fromisoformat(stars.pop("since")) == model.loaded_at
    assert stars == {"loop": "stars", "task": "regression", "ready": True, "version": "v3"}


def test_the_model_of_each_loop_says_what_it_gives(both: Server) -> None:
    news = both.client.get("/v1/loops/news/model").json()
    stars = both.client.get("/v1/loops/stars/model").json()

    assert (news["loop"], news["labels"]) == ("news", ["sports", "tech"])
    assert (stars["loop"], stars["contract"]["kind"]) == ("stars", "regression")
    assert (stars["contract"]["minimum"], stars["contract"]["maximum"]) == (0, 5)
    assert "labels" not in stars


def test_a_short_form_is_told_the_long_one(both: Server) -> None:
    predict = both.client.post("/v1/predict", json={"texts": ["tech"]})
    model = both.client.get("/v1/model")

    assert (predict.status_code, model.status_code) == (409, 409)
    error = predict.json()["error"]
    assert error["code"] == "several_loops"
    assert "/v1/loops/{loop}/predict" in error["message"]
    assert error["expected"] == "/v1/loops/news/predict, /v1/loops/stars/predict"
    assert "/v1/loops/stars/model" in model.json()["error"]["expected"]


@pytest.mark.parametrize("name", ["tickets", "News", "a" * 500, "%F0%9F%92%A9", "%00"])
def test_a_loop_that_is_not_served_is_404_and_the_others_are_named(both: Server, name: str) -> None:
    for answer in (
        both.client.post(f"/v1/loops/{name}/predict", json={"texts": ["tech"]}),
        both.client.get(f"/v1/loops/{name}/model"),
    ):
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["expected"]) == (404, "no_such_loop", "news, stars")
        assert len(answer.content) < 800


def test_a_refused_artifact_leaves_the_other_loop_serving(
    server: Server, source: FolderSource, numbers: FolderSource
) -> None:
    make_news(source.root / "v1", 1)
    (source.root / "v1" / "model.onnx").write_bytes(b"other")
    source.promote(1)
    numbers.promote(1)
    server.await_version("v1", "stars")
    until(lambda: server.loops["news"].slots.champion.refused)
    refused = server.client.post("/v1/loops/news/predict", json={"texts": ["tech"]})
    answered = server.client.post("/v1/loops/stars/predict", json={"texts": ["good"]})

    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "model_refused")
    assert answered.json()["predictions"] == [{"value": 4.0}]
    assert server.client.get("/readyz").json() == {"status": "ready", "models": {"stars": "v1"}}


def test_a_swap_of_one_loop_leaves_the_other(both: Server, source: FolderSource) -> None:
    stars = both.loops["stars"].slots.champion.model
    source.promote(2)
    both.await_version("v2")

    assert both.loops["stars"].slots.champion.model is stars
    metrics = both.client.get("/metrics").text
    assert metrics.count("lakeloop_model_info{") == 2
    assert 'loop="stars",version="v1"} 1.0' in metrics
    assert 'loop="news",version="v2"} 1.0' in metrics


def test_it_is_ready_when_every_loop_was_looked_for_and_one_answers(
    tmp_path: Path, source: FolderSource, numbers: FolderSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry_answers = threading.Event()
    monkeypatch.setattr(numbers, "named", lambda: Named() if registry_answers.wait(120) else None)
    source.promote(1)
    server = Server(tmp_path, source, numbers=numbers)
    with server.client:
        server.await_version("v1")
        starting = server.client.get("/readyz")
        registry_answers.set()
        until(lambda: server.client.get("/readyz").status_code == 200)
        ready = server.client.get("/readyz")

    assert (starting.status_code, starting.json()["error"]["code"]) == (503, "starting")
    assert starting.json()["error"]["found"] == "stars"
    assert ready.json() == {"status": "ready", "models": {"news": "v1"}}


def test_it_is_not_ready_while_no_loop_has_a_model(server: Server) -> None:
    until(lambda: server.client.get("/readyz").json()["error"]["code"] != "starting")
    answer = server.client.get("/readyz")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_model")
    assert answer.json()["error"]["found"] == "news: no_model, stars: no_model"


def test_the_api_page_describes_an_answer_of_each_task(both: Server) -> None:
    api = both.client.get("/openapi.json").json()

    assert "/v1/predict" not in api["paths"]
    operation = api["paths"]["/v1/loops/{loop}/predict"]["post"]
    loop, *_ = operation["parameters"]
    assert loop["schema"]["enum"] == ["news", "stars"]
    answers = operation["responses"]["200"]["content"]["application/json"]
    examples = {kind: example["value"]["predictions"][0] for kind, example in answers["examples"].items()}
    assert set(examples) == {"classification", "regression"}
    assert set(examples["regression"]) == {"value"}
    schemas = api["components"]["schemas"]
    items = schemas["PredictResponse"]["properties"]["predictions"]["items"]
    named = [schemas[each["$ref"].rpartition("/")[2]] for each in items["anyOf"]]
    known = dict.fromkeys(answer_type(kind) for kind in TASKS)
    assert [set(schema["properties"]) for schema in named] == [set(answer.model_fields) for answer in known]
    assert all(
        field["description"]
        for schema in named
        for name, field in schema["properties"].items()
        if name != "label"
    )
