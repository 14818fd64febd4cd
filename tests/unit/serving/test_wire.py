"""What requests may look like on the wire and what answers do: ids, compression, fewer scores, errors."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from lakeloop.inference.predictor import Predictor
from lakeloop.serving.messages import PredictResponse, example_request, example_response
from lakeloop.tasks.classification import Label
from lakeloop.tasks.multi_label import Labels
from lakeloop.tasks.registry import TASKS, answer_type
from tests.support.app import LIMITS, Server
from tests.support.serving import FolderSource
from tests.support.waiting import until

JSON = {"content-type": "application/json"}
ASKED = b'{"texts": ["tech"]}'


@pytest.fixture
def server(tmp_path: Path, source: FolderSource) -> Iterator[Server]:
    source.promote(1)
    server = Server(tmp_path, source)
    with server.client:
        server.await_version("v1")
        yield server


def packed(server: Server, content: bytes, coding: str = "gzip") -> httpx.Response:
    found: httpx.Response = server.client.post(
        "/v1/predict", content=content, headers={**JSON, "content-encoding": coding}
    )
    return found


def test_all_scores_are_answered_until_fewer_are_asked_for(server: Server) -> None:
    whole = server.client.post("/v1/predict", json={"texts": ["tech"]}).json()["predictions"][0]
    one = server.client.post("/v1/predict", json={"texts": ["tech"], "top_k": 1}).json()["predictions"][0]

    assert set(whole["scores"]) == {"sports", "tech"}
    assert one == {**whole, "scores": {"tech": whole["score"]}}


def test_a_server_may_be_set_to_fewer_scores_and_logs_all(tmp_path: Path, source: FolderSource) -> None:
    source.promote(1)
    server = Server(tmp_path, source, LIMITS.model_copy(update={"top_k": 1}))
    with server.client:
        server.await_version("v1")
        answers = [
            server.client.post("/v1/predict", json={"texts": ["tech"], **asked}).json()["predictions"][0]
            for asked in ({}, {"top_k": 2})
        ]

    assert [len(answer["scores"]) for answer in answers] == [1, 2]
    assert [len(json.loads(row["answer"])["scores"]) for row in server.rows] == [2, 2]


@pytest.mark.parametrize("top_k", [0, -1, 1.5, "3", True])
def test_a_number_of_scores_that_is_none_is_refused(server: Server, top_k: Any) -> None:
    answer = server.client.post("/v1/predict", json={"texts": ["tech"], "top_k": top_k})

    assert answer.status_code == 422
    assert "body.top_k is" in answer.json()["detail"]
    assert answer.json()["error"]["expected"] == "top_k: a whole number, 1 or more; without it all"


def test_the_scores_of_what_is_answered_are_always_there() -> None:
    scores = {"a": 0.1, "b": 0.9, "c": 0.8, "d": 0.7}
    several = Labels(labels=["b", "c", "d"], scores=scores)

    assert Label(label="b", score=0.9, scores=scores).cut(2).model_dump()["scores"] == {"b": 0.9, "c": 0.8}
    assert several.cut(1).model_dump()["scores"] == {"b": 0.9, "c": 0.8, "d": 0.7}


@pytest.mark.parametrize("kind", TASKS)
def test_there_is_an_example_of_each_task_that_is_one(
    tmp_path: Path, source: FolderSource, kind: str
) -> None:
    api = Server(tmp_path, source, task=kind).app.openapi()
    operation = api["paths"]["/v1/loops/{loop}/predict"]["post"]
    asked = operation["requestBody"]["content"]["application/json"]["examples"]
    answered = operation["responses"]["200"]["content"]["application/json"]["examples"]

    assert asked == {kind: {"summary": f"task: {kind}", "value": example_request(kind)}}
    assert answered[kind]["value"] == example_response(kind)
    for answer in PredictResponse.model_validate(answered[kind]["value"]).predictions:
        answer_type(kind).model_validate(answer.model_dump())


def test_an_id_is_that_of_the_body_of_the_header_or_made_up(server: Server) -> None:
    def ids(body: dict[str, Any], header: str = "") -> tuple[str, str]:
        headers = {"X-Request-ID": header} if header else {}
        answer = server.client.post("/v1/predict", json={"texts": ["tech"], **body}, headers=headers)
        return answer.json()["request_id"], answer.headers["x-request-id"]

    assert ids({"request_id": "of-body"}, "of-header") == ("of-body", "of-body")
    assert ids({}, "of-header") == ("of-header", "of-header")
    made, sent = ids({})
    assert made == sent
    assert len(made) == 32
    for wrong in ("with space", "x" * 129):
        answered, sent = ids({}, wrong)
        assert answered == sent
        assert len(answered) == 32
    until(lambda: len(server.rows) >= 5)
    assert {"of-body", "of-header", made} < {row["request_id"] for row in server.rows}


def test_every_error_is_problem_details_with_the_id_of_its_request(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    client, of_id = server.client, {"X-Request-ID": "mine-1"}
    answers = {
        400: client.post("/v1/predict", content=b'{"texts": ["\xe9"]}', headers={**JSON, **of_id}),
        404: client.get("/nothing", headers=of_id),
        405: client.get("/v1/predict", headers=of_id),
        413: client.post("/v1/predict", json={"texts": ["x" * 3000]}, headers=of_id),
        415: client.post("/v1/predict", content=b"x", headers={"content-type": "text/plain", **of_id}),
        422: client.post("/v1/predict", json={}, headers=of_id),
        431: client.get("/healthz", headers={**of_id, **{f"x-{number}": "1" for number in range(120)}}),
    }

    def fail(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(Predictor, "answering", fail)
    answers[500] = client.post("/v1/predict", json={"texts": ["tech"]}, headers=of_id)
    server.slot.model = None
    answers[503] = client.post("/v1/predict", json={"texts": ["tech"]}, headers=of_id)

    for status, answer in answers.items():
        body = answer.json()
        assert answer.status_code == body["status"] == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["x-request-id"] == body["request_id"] == "mine-1"
        assert body["type"] == f"urn:lakeloop:problem:{body['error']['code']}"
        assert body["detail"] == body["error"]["message"]
        assert body["title"]
    assert int(answers[503].headers["retry-after"]) > 0
    assert "request mine-1 failed" in caplog.text


def test_a_body_in_gzip_is_read(server: Server) -> None:
    two_members = gzip.compress(ASKED[:8]) + gzip.compress(ASKED[8:])

    assert packed(server, gzip.compress(ASKED)).json()["predictions"][0]["label"] == "tech"
    assert packed(server, two_members, "X-GZIP").json()["predictions"][0]["label"] == "tech"
    assert packed(server, ASKED, "identity").status_code == 200


def test_a_body_that_unpacks_to_more_than_one_may_have_is_refused(server: Server) -> None:
    bomb = gzip.compress(b" " * 500_000 + ASKED)
    assert len(bomb) < LIMITS.body_bytes
    answer = packed(server, bomb)

    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")
    assert packed(server, gzip.compress(b"") * 90 + gzip.compress(ASKED)).status_code == 200


@pytest.mark.parametrize(
    "content",
    [ASKED, gzip.compress(ASKED)[:-4], gzip.compress(ASKED) + b"more"],
    ids=["no gzip", "cut off", "more behind it"],
)
def test_what_is_no_gzip_or_not_all_of_it_is_refused(server: Server, content: bytes) -> None:
    answer = packed(server, content)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "not_gzip")


@pytest.mark.parametrize("coding", ["br", "zstd", "deflate", "gzip, gzip", "gzip, br", "\u00e4"])
def test_another_compression_is_415_and_says_which_is_read(server: Server, coding: str) -> None:
    answer = server.client.post(
        "/v1/predict",
        content=ASKED,
        headers={**JSON, "content-encoding": coding.encode("latin-1")},  # type: ignore[dict-item]
    )

    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "encoded")
    assert answer.headers["accept-encoding"] == "gzip"
