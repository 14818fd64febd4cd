"""Rows with more than a text, over HTTP: what the model reads is taken, all else is refused by place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lakeloop.tasks.reading import Reading
from tests.support.app import Server
from tests.support.serving import FolderSource
from tests.support.waiting import until


@pytest.fixture
def pairs(tmp_path: Path) -> Iterator[Server]:
    """A server whose model reads two texts."""
    source = FolderSource(tmp_path / "pairs", reads=Reading(text_pair=True))
    server = Server(tmp_path, source)
    with server.client:
        source.promote(1)
        server.await_version("v1")
        yield server


def ask(server: Server, **body: Any) -> tuple[int, dict[str, Any]]:
    answer = server.client.post("/v1/predict", json=body)
    return answer.status_code, answer.json()


def test_both_texts_are_read_and_logged(pairs: Server) -> None:
    row = {"text": "a story", "text_pair": "about tech"}
    status, body = ask(pairs, instances=[row, {"text": "tech tech", "text_pair": "sports"}])
    assert (status, [answer["label"] for answer in body["predictions"]]) == (200, ["tech", "tech"])
    until(lambda: len(pairs.rows) >= 2)
    assert [(row["text"], json.loads(row["beside"])) for row in pairs.rows] == [
        ("a story", {"text_pair": "about tech"}),
        ("tech tech", {"text_pair": "sports"}),
    ]


def test_what_the_model_reads_is_said(pairs: Server) -> None:
    assert pairs.client.get("/v1/model").json()["reads"] == {"text_pair": True, "features": []}


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        ({"texts": ["tech"]}, "not_what_the_model_reads", "instances.0.text_pair"),
        ({"instances": [{"text": "tech"}]}, "not_what_the_model_reads", "reads text and text_pair"),
        (
            {"instances": [{"text": "tech", "text_pair": "a", "features": {"x": 1}}]},
            "not_what_the_model_reads",
            "instances.0.features.x",
        ),
        (
            {"instances": [{"text": "tech", "text_pair": " "}]},
            "invalid_request",
            "instances.0.text_pair is blank",
        ),
        ({"instances": [{"text": "tech", "pair": "a"}]}, "invalid_request", "instances.0.pair is no field"),
        ({"texts": [], "instances": []}, "invalid_request", "has both texts and instances"),
        ({"request_id": "r"}, "invalid_request", "has neither texts nor instances"),
    ],
)
def test_what_it_does_not_read_is_refused_by_place(
    pairs: Server, body: dict[str, Any], code: str, said: str
) -> None:
    status, answer = ask(pairs, **body)
    assert (status, answer["error"]["code"]) == (422, code)
    assert said in answer["error"]["message"]
    assert not pairs.rows


def test_a_second_text_has_the_same_limit(pairs: Server) -> None:
    status, answer = ask(pairs, instances=[{"text": "tech", "text_pair": "a" * 101}])
    assert (status, answer["error"]["found"]) == (413, "101 characters")
