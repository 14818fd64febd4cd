"""More requests than the models can take, and a stop in the middle of them: refused soon, nothing lost."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import httpx
import psutil
import pytest

from lakeloop.stages.frame.session import StageContext
from tests.integration.test_server import FAST
from tests.support.load import Load, logged
from tests.support.serving import ServerProcess, open_project, promote
from tests.support.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

LONG = {"texts": ["a story about tech and more of it, " * 1000] * 50}
"""Half a second of work and more."""
MOST_MB = 400
DRAINED = -signal.SIGTERM
"""uvicorn ends what it was at, and then by the signal."""


@pytest.fixture
def context(tmp_path_factory: pytest.TempPathFactory) -> StageContext:
    return open_project(tmp_path_factory.mktemp("load") / "project")


@pytest.fixture
def start(context: StageContext) -> Iterator[Callable[..., ServerProcess]]:
    """Starts a server that has a champion, with some limits."""
    with contextlib.ExitStack() as stack:

        def started(**limits: object) -> ServerProcess:
            server = ServerProcess.start(context.settings, **{**FAST, **limits})
            stack.callback(server.kill)
            promote(context, 1)
            server.await_answer("/readyz")
            return server

        yield started


@dataclass
class Crowd:
    """Clients that ask for long answers, and do not wait when they are told to."""

    url: str
    answers: Counter[int] = field(default_factory=Counter)
    without_retry: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self, clients: int, seconds: float, meanwhile: Callable[[], None]) -> None:
        threads = [threading.Thread(target=self._ask) for _ in range(clients)]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            meanwhile()
            time.sleep(0.2)
        self._stop.set()
        for thread in threads:
            thread.join()

    def _ask(self) -> None:
        with httpx.Client(base_url=self.url, timeout=60) as http:
            while not self._stop.is_set():
                answer = http.post("/v1/predict", json=LONG)
                self.answers[answer.status_code] += 1
                if answer.status_code in (429, 503):
                    self.without_retry += int(answer.headers.get("retry-after", 0)) < 1
                    time.sleep(0.05)


def test_an_overloaded_server_refuses_some_answers_others_and_is_itself_soon_after(
    start: Callable[..., ServerProcess],
) -> None:
    server = start(waiting=4, answer_seconds=3.0)
    process = psutil.Process(server.process.pid)
    before = process.memory_info().rss
    health, memory = [], []

    def look() -> None:
        began = time.monotonic()
        assert httpx.get(f"{server.url}/healthz", timeout=10).status_code == 200
        health.append(time.monotonic() - began)
        memory.append(process.memory_info().rss)

    crowd = Crowd(server.url)
    crowd.run(clients=16, seconds=6, meanwhile=look)
    ended = time.monotonic()
    while httpx.post(f"{server.url}/v1/predict", json={"texts": ["tech"]}).status_code != 200:
        time.sleep(0.1)
    recovered = time.monotonic() - ended
    began = time.monotonic()
    assert httpx.post(f"{server.url}/v1/predict", json={"texts": ["tech"]}).status_code == 200
    single = time.monotonic() - began

    assert set(crowd.answers) == {200, 503}
    assert crowd.without_retry == 0
    assert sorted(health)[len(health) // 2] < 1
    assert max(memory) - before < MOST_MB << 20
    assert recovered < 10
    assert single < 1


def test_a_stop_under_load_loses_no_answer_that_was_given(
    context: StageContext, start: Callable[..., ServerProcess]
) -> None:
    server = start()
    with Load(server.url) as load:
        time.sleep(1)
        status = server.terminate()

    assert status == DRAINED
    assert len(load.answered) > 10
    # A client may have its connection closed as it asks, or find nobody; nobody gets half an answer.
    assert all("ConnectError" in each or "Remote" in each or "ReadError" in each for each in load.failures)
    rows = logged(context)
    assert {name: rows[name] for name in load.answered} == dict.fromkeys(load.answered, 2)
    assert all(rows[name] in (0, 2) for name in load.sent - set(load.answered))


def test_a_request_that_is_worked_on_is_answered_before_the_server_ends(
    start: Callable[..., ServerProcess],
) -> None:
    server = start()
    found: list[httpx.Response] = []
    asking = threading.Thread(
        target=lambda: found.append(httpx.post(f"{server.url}/v1/predict", json=LONG, timeout=30))
    )
    asking.start()
    until(lambda: "lakeloop_requests_pending 1.0" in httpx.get(f"{server.url}/metrics").text)
    status = server.terminate()
    asking.join()
    assert "Finished server process" in server.log.read_text()

    assert status == DRAINED
    assert found[0].status_code == 200
    assert len(found[0].json()["predictions"]) == len(LONG["texts"])


def test_a_client_that_goes_away_is_worked_for_no_longer(start: Callable[..., ServerProcess]) -> None:
    server = start()
    body = json.dumps(LONG).encode()
    head = f"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    clients = [socket.create_connection(("127.0.0.1", int(server.url.rsplit(":", 1)[1]))) for _ in range(6)]
    for client in clients:
        client.sendall(head.encode() + b"Content-Type: application/json\r\n\r\n" + body)
    until(lambda: "lakeloop_requests_pending 0.0" not in httpx.get(f"{server.url}/metrics").text)
    for client in clients:
        client.close()
    began = time.monotonic()
    while "lakeloop_requests_pending 0.0" not in (text := httpx.get(f"{server.url}/metrics").text):
        assert time.monotonic() - began < 10
    counted = re.search(r'requests_total\{code="499".*path="/v1/predict"\} (\S+)', text)

    assert counted is not None
    assert float(counted[1]) >= 3


def test_a_client_that_never_ends_does_not_hold_up_the_stop(start: Callable[..., ServerProcess]) -> None:
    server = start(drain_seconds=2.0)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(httpx.Client(base_url=server.url)) for _ in range(3)]
        for client in clients:
            client.get("/healthz")
        endless = threading.Thread(target=_send_without_end, args=(server.url,), daemon=True)
        endless.start()
        time.sleep(0.5)
        began = time.monotonic()
        status = server.terminate()
        taken = time.monotonic() - began

    assert status == DRAINED
    assert taken < 8


def _send_without_end(url: str) -> None:
    def parts() -> Iterator[bytes]:
        while True:
            yield b" "
            time.sleep(0.1)

    with contextlib.suppress(httpx.TransportError):
        httpx.post(f"{url}/v1/predict", content=parts(), headers={"Content-Type": "application/json"})
