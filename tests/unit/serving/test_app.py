"""The server's answers: right ones to right requests, and one shape of clear error to all others."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lakeloop.inference.predictor import Predictor
from tests.support.app import LIMITS, Server
from tests.support.serving import FolderSource, make_news, value
from tests.support.waiting import until


def test_texts_are_answered_in_order_with_the_version_and_the_request_id(server: Server) -> None:
    answer = server.client.post(
        "/v1/predict", json={"texts": ["tech", "sports", "?"], "request_id": "mine-1"}
    )

    assert answer.status_code == 200
    body = answer.json()
    assert (body["model_version"], body["request_id"]) == ("v1", "mine-1")
    assert [prediction["label"] for prediction in body["predictions"]] == ["tech", "sports", "sports"]
    first = body["predictions"][0]
    assert first["score"] == first["scores"]["tech"] > 0.9
    assert sum(first["scores"].values()) == pytest.approx(1)


def test_no_texts_are_no_answers_and_an_id_is_made_up(server: Server) -> None:
    body = server.client.post("/v1/predict", json={"texts": []}).json()

    assert body["predictions"] == []
    assert len(body["request_id"]) == 32


def test_the_model_page_says_what_answers(server: Server, source: FolderSource) -> None:
    body = server.client.get("/v1/model").json()

    assert source.release is not None
    assert (body["loop"], body["version"], body["digest"]) == ("news", "v1", source.release.digest)
    assert body["labels"] == body["contract"]["names"] == ["sports", "tech"]
    assert body["contract"]["kind"] == "classification"
    assert body["scores"] == {"macro_f1": 0.9}
    assert body["refused"] is None
    assert {"method", "candidate", "dataset_digest", "loaded_at", "max_tokens"} <= set(body)


def test_without_a_champion_it_lives_is_not_ready_and_says_what_to_do(empty: Server) -> None:
    assert empty.client.get("/healthz").json() == {"status": "alive"}
    for answer in (
        empty.client.get("/readyz"),
        empty.client.get("/v1/model"),
        empty.client.post("/v1/predict", json={"texts": ["tech"]}),
    ):
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        assert answer.json()["error"]["code"] == "no_model"
        assert "lakeloop run news" in answer.json()["error"]["message"]


def test_a_champion_that_cannot_be_loaded_is_not_reported_as_missing(
    empty: Server, source: FolderSource
) -> None:
    source.failure = OSError("no route to host")
    until(lambda: empty.slot.postponed)
    for answer in (empty.client.get("/readyz"), empty.client.post("/v1/predict", json={"texts": ["tech"]})):
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        assert answer.json()["error"]["code"] == "model_unavailable"
        assert answer.json()["error"]["found"] == "OSError: no route to host"

    source.failure = None
    source.promote(1)
    empty.await_version("v1")
    assert empty.slot.postponed == ""


def test_a_refused_champion_shows_with_its_reason_while_the_old_one_answers(
    server: Server, source: FolderSource
) -> None:
    make_news(source.root / "v2", 2)
    (source.root / "v2" / "model.onnx").unlink()
    source.promote(2)
    until(lambda: server.client.get("/v1/model").json()["refused"])
    body = server.client.get("/v1/model").json()

    assert body["version"] == "v1"
    assert body["refused"]["version"] == "v2"
    assert "model.onnx" in body["refused"]["reason"]
    assert server.client.post("/v1/predict", json={"texts": ["tech"]}).json()["model_version"] == "v1"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "body has neither texts nor instances"),
        ({"text": "tech"}, "body.text is no field of a request"),
        ({"texts": "tech"}, "body.texts is not a list"),
        ({"texts": [1]}, "body.texts.0 is not a text in quotes"),
        ({"texts": ["a", None]}, "body.texts.1 is not a text in quotes"),
        ({"texts": [{"text": "tech"}]}, "body.texts.0 is not a text in quotes"),
        ({"texts": ["a", ""]}, "body.texts.1 is blank: there is nothing to answer"),
        ({"texts": [" \n\u2003"]}, "body.texts.0 is blank"),
        ({"texts": [], "model": "v2"}, "body.model is no field of a request"),
        ({"texts": [], "request_id": "a b"}, "body.request_id is not 1 to 128 characters"),
        ({"texts": [], "request_id": "x" * 129}, "body.request_id is not 1 to 128 characters"),
        ({"texts": [], "request_id": 7}, "body.request_id is not a text in quotes"),
        ([], "body is not a JSON object"),
    ],
)
def test_a_request_of_the_wrong_shape_is_refused_by_place(server: Server, body: Any, said: str) -> None:
    answer = server.client.post("/v1/predict", json=body)

    assert answer.status_code == 422
    error = answer.json()["error"]
    assert error["code"] == "invalid_request"
    assert said in error["message"]
    field = "request_id" if said.startswith("body.request_id") else "texts"
    assert field in error["expected"]


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b'{"texts": ["tech"', 422),
        (b"", 422),
        (b'{"texts": ["\xff"]}', 400),
        (b'{"texts": ["\\ud800"]}', 422),
        (b'{"texts": [NaN]}', 422),
        (b'{"texts": [' + b"1" * 1900 + b"]}", 422),
        (b'{"texts": [], "\\ud800": 1}', 422),
        (b"null", 422),
    ],
)
def test_garbage_is_a_clear_4xx_of_the_one_shape(server: Server, content: bytes, status: int) -> None:
    answer = server.client.post("/v1/predict", content=content, headers={"content-type": "application/json"})

    assert answer.status_code == status
    error = answer.json()["error"]
    assert error["code"]
    assert error["message"]


def test_lists_in_lists_without_end_are_refused(server: Server) -> None:
    answer = server.client.post(
        "/v1/predict", content=b"[" * 1500, headers={"content-type": "application/json"}
    )

    assert answer.status_code in {400, 422}, "how deep a parser goes depends on the Python"
    assert answer.json()["error"]["code"]


def test_a_body_that_is_not_declared_as_json_is_refused(server: Server) -> None:
    answer = server.client.post(
        "/v1/predict", content=b'{"texts": ["tech"]}', headers={"content-type": "text/plain"}
    )

    assert answer.status_code == 415
    assert "application/json" in answer.json()["error"]["expected"]
    assert "text/plain" in answer.json()["error"]["found"]


def test_sizes_over_the_limits_are_413_and_say_the_limit(server: Server) -> None:
    too_many = server.client.post("/v1/predict", json={"texts": ["a"] * 5})
    too_long = server.client.post("/v1/predict", json={"texts": ["a", "b" * 101]})
    too_big = server.client.post("/v1/predict", json={"texts": ["é" * 1500]})
    chunked = server.client.post("/v1/predict", content=(b"x" * 1000 for _ in range(3)))

    errors = [answer.json()["error"] for answer in (too_many, too_long, too_big, chunked)]
    assert {answer.status_code for answer in (too_many, too_long, too_big, chunked)} == {413}
    assert [error["code"] for error in errors] == [
        "too_many_texts",
        "text_too_long",
        "body_too_large",
        "body_too_large",
    ]
    assert (errors[0]["expected"], errors[0]["found"]) == ("at most 4 texts", "5 texts")
    assert (errors[1]["expected"], errors[1]["found"]) == ("at most 100 characters", "101 characters")
    assert "row 1" in errors[1]["message"]


def test_unknown_paths_and_methods_are_json_too(server: Server) -> None:
    missing = server.client.get("/v2/predict")
    wrong = server.client.get("/v1/predict")

    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "not_found")
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (405, "method_not_allowed")
    assert wrong.headers["allow"] == wrong.json()["error"]["expected"] == "POST"
    assert "GET is not for /v1/predict" in wrong.json()["error"]["message"]


def test_a_slash_at_the_end_is_named_and_not_redirected(server: Server) -> None:
    answer = server.client.post("/v1/predict/", json={"texts": ["tech"]}, follow_redirects=False)

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    assert "paths do not end with /" in answer.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/healthz", "/v1/model", "/metrics", "/v1/loops/news/model"])
def test_head_is_what_get_says_without_a_body(server: Server, path: str) -> None:
    got, head = server.client.get(path), server.client.head(path)

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == got.headers["content-type"]
    assert server.client.head("/v1/predict").status_code == 405
    assert server.client.head("/nowhere").status_code == 404


def test_a_body_that_is_not_utf_8_is_told_so(server: Server) -> None:
    json_of = {"content-type": "application/json"}
    latin = server.client.post("/v1/predict", content=b'{"texts": ["\xe9"]}', headers=json_of)

    assert (latin.status_code, latin.json()["error"]["code"]) == (400, "bad_request")
    assert "not UTF-8" in latin.json()["error"]["message"]


def test_a_failing_model_is_500_without_our_insides(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("secret text")

    monkeypatch.setattr(Predictor, "answering", fail)
    answer = server.client.post("/v1/predict", json={"texts": ["tech"]})

    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "internal"
    assert "secret" not in answer.text


def test_a_busy_server_refuses_soon_says_when_to_come_back_and_stays_healthy(
    tmp_path: Path, source: FolderSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.promote(1)
    server = Server(tmp_path, source, LIMITS.model_copy(update={"answer_seconds": 0.5, "waiting": 1}))
    release = threading.Event()
    with server.client:
        server.await_version("v1")
        real = Predictor.answering

        def slow(self: Predictor, texts: list[str]) -> Any:
            release.wait(5)
            return (yield from real(self, texts))

        monkeypatch.setattr(Predictor, "answering", slow)
        answers = []
        callers = [
            threading.Thread(
                target=lambda: answers.append(server.client.post("/v1/predict", json={"texts": ["tech"]}))
            )
            for _ in range(4)
        ]
        for caller in callers:
            caller.start()
        assert server.client.get("/healthz").status_code == 200
        for caller in callers:
            caller.join()
        assert value(server.metrics, "lakeloop_requests_pending") == 2
        release.set()

    assert [answer.status_code for answer in answers] == [503] * 4
    assert (
        sorted(answer.json()["error"]["code"] for answer in answers) == ["overloaded"] * 2 + ["timeout"] * 2
    )
    assert all(int(answer.headers["retry-after"]) > 0 for answer in answers)
    assert server.rows == []


def test_answers_are_logged_by_the_time_the_server_has_stopped(tmp_path: Path, source: FolderSource) -> None:
    source.promote(1)
    server = Server(tmp_path, source, LIMITS.model_copy(update={"flush_seconds": 60.0}))
    with server.client:
        server.await_version("v1")
        server.client.post("/v1/predict", json={"texts": ["tech", "sports"], "request_id": "a"})
        server.client.post("/v1/predict", json={"texts": ["a"] * 5, "request_id": "refused"})

    answers = [(row["request_id"], json.loads(row["answer"])["label"]) for row in server.rows]
    assert answers == [("a", "tech"), ("a", "sports")]
    assert list((tmp_path / "spool").glob("*/*.jsonl")) == []


def test_metrics_count_requests_by_path_and_code_and_name_the_model(server: Server) -> None:
    server.client.post("/v1/predict", json={"texts": ["tech", "tech"]})
    server.client.post("/v1/loops/news/predict", json={"texts": ["tech"]})
    server.client.post("/v1/loops/nobody/predict", json={"texts": ["tech"]})
    server.client.post("/v1/predict", json={})
    server.client.get("/some/path")
    server.client.post("/v1/predict", content=b"x" * 3000)

    text = server.client.get("/metrics").text
    for line in (
        'lakeloop_requests_total{code="200",method="POST",path="/v1/predict"} 1.0',
        'lakeloop_requests_total{code="422",method="POST",path="/v1/predict"} 1.0',
        'lakeloop_requests_total{code="413",method="POST",path="/v1/predict"} 1.0',
        'lakeloop_requests_total{code="404",method="GET",path="other"} 1.0',
        'lakeloop_requests_total{code="404",method="POST",path="other"} 1.0',
        'lakeloop_requests_total{code="200",method="POST",path="/v1/loops/news/predict"} 1.0',
        'lakeloop_request_texts_sum{loop="news"} 3.0',
        'lakeloop_model_info{digest="',
        'lakeloop_predictions_backlog_rows{loop="news"}',
        'lakeloop_predictions_dropped_total{loop="news"} 0.0',
        'lakeloop_model_load_failures_total{kind="refused",loop="news"} 0.0',
    ):
        assert line in text


def test_the_docs_page_works_without_the_internet(server: Server) -> None:
    page = server.client.get("/docs").text

    assert "http://" not in page.replace("http://testserver", "")
    assert "https://" not in page
    for asset in ("swagger-ui-bundle.js", "swagger-ui.css"):
        assert asset in page
        assert server.client.get(f"/static-offline-docs/{asset}").status_code == 200
    paths = server.client.get("/openapi.json").json()["paths"]
    assert set(paths) == {
        "/healthz", "/readyz", "/metrics", "/v1/loops", "/v1/loops/{loop}/model", "/v1/loops/{loop}/predict",
        "/v1/model", "/v1/predict",
    }  # fmt: skip


def test_texts_are_in_no_log(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        server.client.post("/v1/predict", json={"texts": ["a very private text"]})
        server.client.post("/v1/predict", json={"texts": ["a very private text"] * 5})
        server.client.post("/v1/predict", json={"texts": "a very private text"})

    assert "private" not in caplog.text


def test_a_label_below_the_threshold_of_its_version_is_held_back_and_logged_so(
    empty: Server, source: FolderSource
) -> None:
    release = source.promote(1)
    source.release = replace(release, below=0.9)
    empty.await_version("v1")
    assert empty.client.get("/v1/model").json()["abstains_below"] == 0.9

    body = empty.client.post("/v1/predict", json={"texts": ["tech", "what is this"]}).json()
    given, held = body["predictions"]
    assert given["label"] == "tech"
    assert "abstained" not in given
    assert (held["label"], held["abstained"]) == (None, True)
    assert set(held["scores"]) == {"sports", "tech"}
    cut = empty.client.post("/v1/predict", json={"texts": ["what is this"], "top_k": 1}).json()
    assert len(cut["predictions"][0]["scores"]) == 1

    empty.loops["news"].predictions.flush()
    logged = [json.loads(row["answer"]) for row in empty.rows]
    assert [answer.get("abstained", False) for answer in logged] == [False, True, True]


@pytest.mark.parametrize("given", ["a b", "a\tb", "caf\xe9", "x" * 129, "\x7f"])
def test_a_name_of_a_client_that_is_none_is_refused(server: Server, given: str) -> None:
    answer = server.client.post(
        "/v1/predict", json={"texts": ["tech"]}, headers={b"X-Client-ID": given.encode("latin-1")}
    )
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    error = answer.json()["error"]
    assert error["code"] == "not_a_client_id"
    assert error["expected"] == "1 to 128 characters of printable ASCII without spaces"
    assert error["found"].isascii()


@pytest.mark.parametrize("given", ["", "  ", " mine ", "x" * 128])
def test_blanks_around_the_name_of_a_client_are_none_of_it(server: Server, given: str) -> None:
    answer = server.client.post("/v1/predict", json={"texts": ["tech"]}, headers={"X-Client-ID": given})
    assert answer.status_code == 200
