"""A version beside the champion: nobody sees a shadow, a canary answers its share, neither does harm."""

from __future__ import annotations

import json
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from lakeloop.artifact import Artifact
from lakeloop.errors import ArtifactError
from lakeloop.inference.pieces import Pieces
from lakeloop.inference.predictor import Predictor
from lakeloop.serving.router import key_of, place_of
from lakeloop.serving.tally import FAILURES_IN_A_ROW
from lakeloop.tasks.reading import Reading
from tests.support.app import LIMITS, Server
from tests.support.artifacts import make_artifact
from tests.support.serving import LABELS, FolderSource, value
from tests.support.waiting import until

SWAPPED = {"tech": "sports", "sports": "tech"}


def make_telling(folder: Path, number: int) -> Artifact:
    """Version 1 answers with the word that it reads, every other one with the other word."""
    return make_artifact(folder, LABELS, seed=number, confuse=SWAPPED if number > 1 else None)


@pytest.fixture
def source(tmp_path: Path) -> FolderSource:
    return FolderSource(tmp_path / "registry", make=make_telling)


@pytest.fixture
def open_server(tmp_path: Path, source: FolderSource) -> Iterator[Callable[..., Server]]:
    """Starts a server with version 1 in use; limits by name."""
    opened: list[Server] = []

    def start(**limits: Any) -> Server:
        source.promote(1)
        server = Server(tmp_path, source, LIMITS.model_copy(update={"waiting": 20, **limits}))
        server.client.__enter__()
        opened.append(server)
        server.await_version("v1")
        return server

    yield start
    for server in opened:
        server.client.__exit__()


@pytest.fixture
def server(open_server: Callable[..., Server]) -> Server:
    return open_server()


def await_phase(server: Server, **wanted: Any) -> dict[str, Any]:
    """What the server says of the challenger once it is loaded, or says what is `wanted` of it."""

    def fits(found: dict[str, Any] | None) -> bool:
        if found is None:
            return False
        return wanted.items() <= found.items() if wanted else found["loaded_at"] is not None

    until(lambda: fits(challenger_of(server)))
    found = challenger_of(server)
    assert found is not None
    return found


def challenger_of(server: Server) -> dict[str, Any] | None:
    found: dict[str, Any] | None = server.client.get("/v1/model").json()["challenger"]
    return found


def ask(server: Server, text: str = "tech", **asked: Any) -> httpx.Response:
    headers = {"X-Client-ID": asked.pop("client")} if "client" in asked else {}
    found: httpx.Response = server.client.post(
        "/v1/predict", json={"texts": [text], **asked}, headers=headers
    )
    return found


def version_of(answer: httpx.Response) -> str:
    """The version that an answer to `tech` names; the answer is what that version says."""
    assert answer.status_code == 200, answer.text
    body = answer.json()
    said = {"tech": "v1", "sports": "v2"}[body["predictions"][0]["label"]]
    assert body["model_version"] == said
    return said


def pieces_of_v2(
    monkeypatch: pytest.MonkeyPatch, instead: Callable[[Callable[..., Any], Predictor, Any], Pieces[Any]]
) -> None:
    """Have version 2 worked on by `instead`, which gets the real way, the predictor and the rows."""
    real = Predictor.pieces

    def pieces(self: Predictor, rows: Any) -> Pieces[Any]:
        made = instead(real, self, rows) if self.folder.name == "v2" else real(self, rows)
        return (yield from made)

    monkeypatch.setattr(Predictor, "pieces", pieces)


def broken(*_: Any) -> Pieces[Any]:
    yield 1
    raise ArtifactError("the network fails", where="v2")


def test_a_shadow_is_asked_the_same_and_nobody_gets_its_answers(server: Server, source: FolderSource) -> None:
    source.try_beside(2, "shadow")
    await_phase(server, phase="shadow")
    await_phase(server)
    versions = []
    for number in range(20):
        versions.append(version_of(ask(server, request_id=f"r{number}")))
        until(lambda sent=number: len(server.observed) > sent)  # type: ignore[misc]

    assert set(versions) == {"v1"}
    seen = {row["request_id"]: row for row in server.observed}
    assert set(seen) == {f"r{number}" for number in range(20)}
    row = seen["r0"]
    assert (row["model_version"], row["role"], row["error"]) == ("v2", "shadow", None)
    assert json.loads(row["answer"])["label"] == "sports"
    assert row["latency_ms"] > 0
    until(lambda: len(server.rows) == 20)
    assert {row["model_version"] for row in server.rows} == {"v1"}
    assert server.rows[0]["text_sha256"] == row["text_sha256"]
    roles = {role: answered(server, role) for role in ("champion", "shadow", "canary")}
    assert roles == {"champion": 20, "shadow": 20, "canary": 0}
    found = challenger_of(server)
    assert found is not None
    assert (found["version"], found["share"], found["requests"], found["failures"]) == ("v2", 0, 20, 0)
    assert "v2 is asked in the shadow" in server.client.get("/").text


def answered(server: Server, role: str, outcome: str = "answered") -> float:
    return value(server.metrics, "lakeloop_role_requests_total", loop="news", role=role, outcome=outcome)


def test_a_shadow_that_fails_or_hangs_is_nothing_to_clients(
    open_server: Callable[..., Server], source: FolderSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()

    def hanging(*_: Any) -> Pieces[Any]:
        yield 1
        go_on.wait(60)
        raise ArtifactError("the network fails", where="v2")

    server = open_server(waiting=4)
    source.try_beside(2, "shadow")
    await_phase(server)
    pieces_of_v2(monkeypatch, hanging)
    began = time.monotonic()
    assert {version_of(ask(server)) for _ in range(20)} == {"v1"}
    assert time.monotonic() - began < 30, "and not the minute of the hanging one"
    assert 10 < answered(server, "shadow", "dropped") <= 16
    go_on.set()
    until(lambda: len(server.observed) > 0)

    assert {(row["role"], row["answer"], row["error"]) for row in server.observed} == {
        ("shadow", None, "ArtifactError: v2: the network fails")
    }


def test_a_canary_answers_its_share_always_to_the_same_clients(server: Server, source: FolderSource) -> None:
    source.try_beside(2, "canary", 0.3)
    await_phase(server)
    clients = [f"client-{number}" for number in range(300)]
    first = {client: version_of(ask(server, client=client)) for client in clients}
    again = {client: version_of(ask(server, client=client)) for client in clients}
    source.try_beside(2, "canary", 0.6)
    await_phase(server, share=0.6)
    later = {client: version_of(ask(server, client=client)) for client in clients}

    for found, share in ((first, 0.3), (later, 0.6)):
        deviation = math.sqrt(300 * share * (1 - share))
        assert abs(Counter(found.values())["v2"] - 300 * share) < 4 * deviation
    assert first == again
    assert all(later[client] == "v2" for client in clients if first[client] == "v2")
    until(lambda: len(server.rows) == 900)
    logged = Counter(row["model_version"] for row in server.rows)
    assert logged["v2"] == sum(list(each.values()).count("v2") for each in (first, again, later))
    assert server.observed == []


def test_a_client_without_a_name_is_known_by_what_it_asks(server: Server, source: FolderSource) -> None:
    source.try_beside(2, "canary", 0.5)
    await_phase(server)
    texts = [f"tech {number}" for number in range(40)]
    for given in ({}, {"client": " "}):
        found = [version_of(ask(server, text, **given)) for text in texts]
        assert found == [version_of(ask(server, text, **given)) for text in texts]
        assert set(found) == {"v1", "v2"}


def test_a_canary_that_fails_fails_no_request_and_is_asked_no_more(
    server: Server, source: FolderSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.try_beside(2, "canary", 1.0)
    await_phase(server)
    pieces_of_v2(monkeypatch, broken)
    versions = [version_of(ask(server, request_id=f"r{number}")) for number in range(20)]

    assert set(versions) == {"v1"}
    until(lambda: len(server.observed) == FAILURES_IN_A_ROW)
    assert {(row["role"], row["model_version"], row["error"]) for row in server.observed} == {
        ("canary", "v2", "ArtifactError: v2: the network fails")
    }
    assert [row["request_id"] for row in server.observed] == [f"r{n}" for n in range(FAILURES_IN_A_ROW)]
    (loop,) = server.client.get("/v1/loops").json()["loops"]
    found = loop["challenger"]
    assert (found["requests"], found["failures"]) == (5, 5)
    assert "5 times in a row, at last: ArtifactError" in found["stopped"]
    assert answered(server, "canary", "failed") == 5
    assert answered(server, "champion") == 20
    page = server.client.get("/").text
    assert "answers 100 % of the requests" in page
    assert "stopped here: it failed 5 times in a row" in page


def test_a_canary_that_hangs_leaves_time_for_the_champion_and_holds_up_nobody(
    open_server: Callable[..., Server], source: FolderSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = open_server(answer_seconds=2.0)
    source.try_beside(2, "canary", 0.5)
    await_phase(server)
    go_on = threading.Event()

    def hanging(real: Callable[..., Any], predictor: Predictor, rows: Any) -> Pieces[Any]:
        yield 1
        go_on.wait(60)
        return (yield from real(predictor, rows))

    pieces_of_v2(monkeypatch, hanging)
    took = {}
    for number in range(1, 5):
        began = time.monotonic()
        assert version_of(ask(server, client=f"c{number}", request_id=f"r{number}")) == "v1"
        took[f"r{number}"] = time.monotonic() - began
    go_on.set()
    until(lambda: len(server.rows) == 4)

    waited = {name for name in took if place_of("news", "v2", key_of(f"c{name[1:]}", [])) < 0.5}
    assert waited == {"r1", "r2"}
    assert all(took[name] > 0.9 for name in waited)
    until(lambda: {row["request_id"] for row in server.observed} == waited)
    assert all("ProblemError: not answered within" in row["error"] for row in server.observed)
    time.sleep(0.1)
    assert Counter(row["request_id"] for row in server.rows) == Counter(took.keys())
    alone = [took[row["request_id"]] * 1000 - row["latency_ms"] for row in server.rows]
    assert sum(each > 900 for each in alone) == 2, "a champion that steps in is timed from then on"


def test_a_failure_of_the_champion_is_seen_as_such(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no memory")

    monkeypatch.setattr(Predictor, "answering", fail)
    assert ask(server, request_id="mine").status_code == 500

    until(lambda: len(server.observed) == 1)
    (row,) = server.observed
    assert (row["request_id"], row["role"], row["model_version"]) == ("mine", "champion", "v1")
    assert row["error"] == "RuntimeError: no memory"
    assert answered(server, "champion", "failed") == 1


def test_an_answer_of_a_canary_whose_trial_ended_meanwhile_is_given_to_nobody(
    server: Server, source: FolderSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.try_beside(2, "canary", 1.0)
    await_phase(server)
    asked, go_on = threading.Event(), threading.Event()

    def slow(real: Callable[..., Any], predictor: Predictor, rows: Any) -> Pieces[Any]:
        answers = yield from real(predictor, rows)
        asked.set()
        go_on.wait(60)
        return answers

    pieces_of_v2(monkeypatch, slow)
    answers: list[httpx.Response] = []
    client = threading.Thread(target=lambda: answers.append(ask(server)))
    client.start()
    asked.wait(60)
    source.end_trial()
    until(lambda: challenger_of(server) is None)
    go_on.set()
    client.join()

    assert version_of(answers[0]) == "v1"
    until(lambda: len(server.rows) == 1)
    assert server.rows[0]["model_version"] == "v1"
    assert server.observed == []


def test_a_bad_artifact_is_refused_as_challenger_and_is_nothing_to_the_champion(
    server: Server, source: FolderSource
) -> None:
    make_telling(source.root / "v2", 2)
    (source.root / "v2" / "model.onnx").write_bytes(b"other")
    source.try_beside(2, "canary", 1.0)
    found = await_phase(server, loaded_at=None)
    until(lambda: bool((challenger_of(server) or {}).get("refused")))

    found = challenger_of(server) or {}
    assert "model.onnx is not the file that was registered" in found["refused"]
    assert {version_of(ask(server)) for _ in range(5)} == {"v1"}
    assert (server.slot.refused, server.slot.postponed) == (None, "")
    assert server.client.get("/v1/model").json()["refused"] is None
    assert server.observed == []
    assert "refused: " in server.client.get("/").text


def test_a_canary_that_reads_other_rows_fails_where_the_champion_answers(
    tmp_path: Path, open_server: Callable[..., Server], source: FolderSource
) -> None:
    def make(folder: Path, number: int) -> Artifact:
        reads = Reading(text_pair=True) if number > 1 else Reading()
        return make_artifact(folder, LABELS, seed=number, reads=reads)

    source._make = make
    server = open_server()
    source.try_beside(2, "canary", 1.0)
    await_phase(server)
    assert ask(server).json()["model_version"] == "v1"
    assert ask(server, client="x", texts=["tech"]).status_code == 200
    wrong = server.client.post("/v1/predict", json={"instances": [{"text": "a", "features": {"b": 1}}]})

    assert wrong.status_code == 422
    until(lambda: len(server.observed) == 2)
    assert {row["role"] for row in server.observed} == {"canary"}
    assert all("reads text and text_pair" in row["error"] for row in server.observed)
