"""A model that writes texts behind the server: answers over HTTP, and what is logged of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.app import Server
from tests.support.serving import FolderSource
from tests.support.waiting import until
from tests.support.written import make_writing_artifact


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    source = FolderSource(tmp_path / "registry", make=make_writing_artifact)
    server = Server(tmp_path, source, task="causal_lm")
    with server.client:
        source.promote(1)
        server.await_version("v1")
        yield server


def test_texts_are_answered_with_texts_and_the_answers_are_logged(server: Server) -> None:
    body = {"texts": ["red blue", "grey"], "request_id": "r"}
    answer = server.client.post("/v1/predict", json=body)
    assert answer.status_code == 200, answer.text
    predictions = answer.json()["predictions"]
    assert [set(each) for each in predictions] == [{"text", "tokens", "finished"}] * 2
    assert all(1 <= each["tokens"] <= 5 for each in predictions)
    again = server.client.post("/v1/predict", json={"texts": ["grey"]}).json()["predictions"]
    assert again == predictions[1:], "the same prompt, the same answer"
    until(lambda: len(server.rows) >= 3)
    assert [json.loads(row["answer"]) for row in server.rows][:2] == predictions


def test_the_model_says_how_it_asks_and_how_long_answers_are(server: Server) -> None:
    model = server.client.get("/v1/loops/news/model").json()
    assert model["max_new_tokens"] == 5
    assert model["contract"]["writing"]["prompt"] == ["Q: ", " A:"]


def test_the_schema_of_the_server_shows_such_an_answer(server: Server) -> None:
    schema = json.dumps(server.client.get("/openapi.json").json())
    assert '"finished"' in schema
