"""The box that asks the model: what is asked of the server, and what a person is told when it fails."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from lakeloop_ui.predict import ask, fields_of

from lakeloop.settings import Settings
from lakeloop.stages.frame.session import StageContext
from tests.support.small_loop import small_loop

ANSWER = {
    "model_version": "v3",
    "predictions": [{"label": "sport", "score": 0.9, "scores": {"tech": 0.1, "sport": 0.9}}],
    "request_id": "1",
}


@dataclass
class Server:
    """An HTTP server that answers all questions alike, and remembers them."""

    url: str = ""
    status: int = 200
    body: str = json.dumps(ANSWER)
    asked: list[tuple[str, Any]] = field(default_factory=list)
    shown: list[str | None] = field(default_factory=list)
    """The header `Authorization` of each question."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    told = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told.asked.append((self.path, json.loads(body)))
            told.shown.append(self.headers["Authorization"])
            self.send_response(told.status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(told.body.encode())

        def log_message(self, *args: object) -> None:
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    told.url = f"http://127.0.0.1:{running.server_address[1]}"
    monkeypatch.setenv("LAKELOOP_SERVER_URL", told.url)
    yield told
    running.shutdown()
    running.server_close()


Ask = Callable[[str], str]


@pytest.fixture
def question(client: TestClient, ran: StageContext) -> Ask:
    """Sends a text by the form of the loop's page; the part of the page with the answer."""
    found = re.search(r'name="token" value="([^"]+)"', client.get("/loops/news").text)
    assert found

    def send(text: str) -> str:
        answer = client.post("/loops/news/predict", data={"token": found[1], "text": text})
        assert answer.status_code == 200
        return answer.text[answer.text.index('id="ask"') : answer.text.index('id="days"')]

    return send


def test_the_answer_stands_beside_the_question(server: Server, question: Ask) -> None:
    page = question("The <b>striker</b> scored.")
    assert server.asked == [("/v1/loops/news/predict", {"texts": ["The <b>striker</b> scored."]})]
    assert re.search(r"<b>sport[^<]*</b> <span class=\"soft\">by v3", page)
    assert page.index("90.0 %") < page.index("10.0 %"), "the most probable first"
    assert "The &lt;b&gt;striker&lt;/b&gt; scored.</textarea>" in page


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (503, '{"detail": "news has no <champion> yet"}', "news has no &lt;champion&gt; yet"),
        (422, '{"detail": "text 0 is blank"}', "text 0 is blank"),
        (200, "<html>a login page</html>", "answer was not understood"),
        (200, '{"predictions": []}', "answer was not understood"),
        (200, "[]", "answer was not understood"),
    ],
    ids=["no champion", "a blank text", "no JSON", "no answer", "another shape"],
)
def test_a_problem_of_the_server_is_told_in_words(
    server: Server, question: Ask, status: int, body: str, words: str
) -> None:
    server.status, server.body = status, body
    page = question("a text")
    assert words in page
    assert "by v3" not in page


def test_a_server_that_is_not_there_is_named(question: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKELOOP_SERVER_URL", "http://127.0.0.1:9")
    assert "The model server at http://127.0.0.1:9 cannot be asked" in question("a text")


def test_a_server_with_keys_is_shown_the_one_that_tasks_show(
    server: Server, question: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    question("without")
    keys = tmp_path / "keys"
    keys.write_text(f"people: sha256:{'0' * 64}\nloop: {'k3y' * 10}\n")
    keys.chmod(0o600)
    monkeypatch.setenv("LAKELOOP_SERVE_KEYS_FILE", str(keys))
    assert ">sport" in question("with")
    assert server.shown == [None, f"Bearer {'k3y' * 10}"]

    keys.unlink()
    assert "the server&#39;s keys cannot be read" in question("a file that is gone")
    assert len(server.asked) == 2


def test_a_server_that_does_not_know_the_key_is_told_with_what_to_set(server: Server, question: Ask) -> None:
    server.status = 401
    server.body = json.dumps({"detail": "no key", "error": {"code": "no_key"}})
    assert "no key: set LAKELOOP_SERVE_KEYS_FILE for Airflow" in question("a text")


def test_the_form_of_another_site_asks_nothing(server: Server, client: TestClient) -> None:
    for token in ("", "1.x"):
        answer = client.post("/loops/news/predict", data={"token": token, "text": "a"})
        assert answer.status_code in {403, 422}
    assert server.asked == []


def test_a_model_that_reads_more_than_a_text_is_asked_for_a_row(server: Server, settings: Settings) -> None:
    loop = small_loop(
        source={
            "kind": "files",
            "path": "drops/{partition}.jsonl",
            "key": "id",
            "columns": {
                "id": "string", "text": "string", "more": "string", "amount": "number", "home": "string",
                "label": "string",
            },
        },
        task={
            "text": "text", "text_pair": "more", "numeric": ["amount"], "categorical": ["home"],
            "label": "label", "labels": ["sport", "tech"],
        },
    )  # fmt: skip
    names = [one.name for one in fields_of(loop)]
    assert names == ["text_pair", "feature_amount", "feature_home"]
    found = ask(settings, loop, "a", {"text_pair": "b", "feature_amount": " 1.5 ", "feature_home": ""})
    assert found.version == "v3"
    assert server.asked[0][1] == {"instances": [{"text": "a", "text_pair": "b", "features": {"amount": 1.5}}]}
    for wrong in ("many", "nan", "inf"):
        problem = ask(settings, loop, "a", {"feature_amount": wrong}).problem
        assert problem == "amount is not a number."
    assert len(server.asked) == 1
