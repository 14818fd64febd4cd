"""A server with keys: who is answered, what is open, and that no key is anywhere but in its header."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from lakeloop.serving.keys import Keys
from tests.support.app import Server
from tests.support.serving import FolderSource, value
from tests.support.waiting import until

KEY = "k3y-of-the-test-0123456789"
BEARER = {"Authorization": f"Bearer {KEY}"}


@pytest.fixture
def server(tmp_path: Path, source: FolderSource) -> Iterator[Server]:
    keys = Keys({"other": sha256(b"another").digest(), "ci": sha256(KEY.encode()).digest()})
    server = Server(tmp_path, source, keys=keys)
    with server.client:
        source.promote(1)
        until(lambda: server.client.get("/readyz").status_code == 200)
        yield server


@pytest.mark.parametrize(
    "shown",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": KEY},
        {"Authorization": f"Token {KEY}"},
        {"Authorization": "Basic not-base64"},
        {"Authorization": "Basic " + base64.b64encode(f"{KEY}:".encode()).decode()},
        {"X-API-Key": KEY},
    ],
)
def test_without_a_key_only_health_is_told(server: Server, shown: dict[str, str]) -> None:
    for path in ("/", "/v1/loops", "/v1/model", "/metrics", "/docs", "/openapi.json", "/nowhere"):
        answer = server.client.get(path, headers=shown)

        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"
        # A header each: of a list in one header browsers read the first scheme only.
        schemes = [each.split()[0] for each in answer.headers.get_list("www-authenticate")]
        assert schemes == ["Bearer", "Basic"]
        assert answer.json()["error"]["code"] == "no_key"
        assert "news" not in answer.text
        assert KEY not in answer.text
    assert server.client.post("/v1/predict", json={"texts": ["tech"]}, headers=shown).status_code == 401
    assert [server.client.get(path, headers=shown).status_code for path in ("/healthz", "/readyz")] == [
        200,
        200,
    ]


def test_with_a_key_all_is_answered_and_counted_by_its_name(server: Server) -> None:
    of_a_browser = {"Authorization": "Basic " + base64.b64encode(f"me:{KEY}".encode()).decode()}
    for shown in (BEARER, {"Authorization": f"bearer  {KEY}"}, of_a_browser):
        assert server.client.get("/", headers=shown).status_code == 200
        answer = server.client.post("/v1/predict", json={"texts": ["tech"]}, headers=shown)
        assert answer.json()["predictions"][0]["label"] == "tech"

    assert value(server.metrics, "lakeloop_key_requests_total", key="ci") == 6
    assert value(server.metrics, "lakeloop_key_requests_total", key="other") == 0


def test_a_key_is_in_no_log_no_error_and_no_prediction(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, logger="lakeloop"):
        server.client.post("/v1/predict", json={"texts": ["tech"]}, headers=BEARER)
        wrong = server.client.post("/v1/predict", json={"textz": ["tech"]}, headers=BEARER)
        metrics = server.client.get("/metrics", headers=BEARER)
        until(lambda: server.rows)

    told = [caplog.text, wrong.text, metrics.text, json.dumps(server.rows, default=str)]
    assert not any(KEY in each for each in told)


def test_the_api_document_says_how_a_key_is_shown(server: Server) -> None:
    document = server.client.get("/openapi.json", headers=BEARER).json()

    assert set(document["components"]["securitySchemes"]) == {"bearer", "basic"}
    asked = document["paths"]["/v1/loops/{loop}/predict"]["post"]
    assert asked["security"] == [{"bearer": []}, {"basic": []}]
    assert "401" in asked["responses"]
    assert "security" not in document["paths"]["/healthz"]["get"]
