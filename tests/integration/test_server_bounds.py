"""Clients that send too much, too slowly or not at all, over real sockets: others are answered meanwhile."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.support.serving import ServerProcess, open_project, promote
from tests.support.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

CONNECTIONS = 40
LIMITS = {
    "connections": CONNECTIONS,
    "head_bytes": 8192,
    "head_seconds": 1.0,
    "body_seconds": 1.5,
    "body_bytes": 100_000,
    "open_bodies": 8,
    "idle_seconds": 0.5,
    "send_seconds": 1.0,
    "poll_seconds": 0.05,
    "flush_seconds": 0.2,
}
HEAD = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    context = open_project(tmp_path_factory.mktemp("bounds") / "project")
    running = ServerProcess.start(context.settings, **LIMITS)
    promote(context, 1)
    running.await_answer("/readyz")
    yield running
    running.kill()


@pytest.fixture
def sockets(server: ServerProcess) -> Iterator[Callable[[], socket.socket]]:
    """Makes connections to the server; all are closed in the end."""
    address = ("127.0.0.1", int(server.url.rsplit(":", 1)[1]))
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(socket.create_connection(address, timeout=15))


def answered(server: ServerProcess) -> float:
    """Ask for a text on a connection of its own; seconds that it took."""
    began = time.monotonic()
    answer = httpx.post(f"{server.url}/v1/predict", json={"texts": ["tech"]}, timeout=5)
    assert answer.status_code == 200, answer.text
    return time.monotonic() - began


def read_all(connection: socket.socket) -> bytes:
    """What comes until the server closes."""
    said = b""
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65536):
            said += part
    return said


def read_answer(connection: socket.socket) -> bytes:
    """One whole answer of a connection that the server may keep."""
    said = b""
    while not (length := re.search(rb"content-length: (\d+)\r\n(?s:.*?)\r\n\r\n", said)) or len(
        said
    ) < length.end() + int(length[1]):
        part = connection.recv(65536)
        assert part, said
        said += part
    return said


def refusal(said: bytes) -> tuple[int, str]:
    """Status and code of the one error in `said`."""
    head, _, body = said.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["error"]["code"]


def cut(server: ServerProcess, why: str) -> float:
    text = httpx.get(f"{server.url}/metrics").text
    found = re.search(rf'lakeloop_connections_cut_total{{why="{why}"}} (\S+)', text)
    return float(found[1]) if found else 0.0


def test_heads_that_never_end_take_no_place_from_others_and_are_given_up(
    server: ServerProcess, sockets: Callable[[], socket.socket]
) -> None:
    before = cut(server, "crowded")
    begun = time.monotonic()
    half = []
    for _ in range(10 * CONNECTIONS):
        half.append(sockets())
        half[-1].sendall(HEAD)
    slowest = max(answered(server) for _ in range(5))
    said = read_all(half[-1])
    given_up = time.monotonic() - begun

    assert slowest < 1
    assert refusal(said) == (408, "head_timeout")
    assert given_up < 1 + LIMITS["head_seconds"] + 2  # type: ignore[operator]
    assert cut(server, "crowded") - before > CONNECTIONS


def test_connections_that_say_nothing_are_closed_and_take_no_place(
    server: ServerProcess, sockets: Callable[[], socket.socket]
) -> None:
    silent = [sockets() for _ in range(3 * CONNECTIONS)]
    answered(server)

    assert {read_all(connection) for connection in silent} == {b""}


def test_a_head_that_drips_is_given_up_however_steadily_it_comes(
    server: ServerProcess, sockets: Callable[[], socket.socket]
) -> None:
    dripping = sockets()
    begun = time.monotonic()
    with contextlib.suppress(OSError):
        dripping.sendall(b"GET /")
        while time.monotonic() - begun < 30:
            dripping.sendall(b"X")
            time.sleep(0.05)
    taken = time.monotonic() - begun

    assert 0.9 < taken < 20
    answered(server)


def test_a_drip_between_requests_of_one_connection_is_given_up_too(
    server: ServerProcess, sockets: Callable[[], socket.socket]
) -> None:
    kept = sockets()
    kept.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert b"200 OK" in kept.recv(65536)
    kept.sendall(b"GET /healthz HTTP/1.1\r\n")
    begun = time.monotonic()

    assert refusal(read_all(kept)) == (408, "head_timeout")
    assert 0.8 < time.monotonic() - begun < 20


@pytest.mark.parametrize(
    "head",
    [
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 9000 + b"\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + b"X: 1\r\n" * 101 + b"\r\n",
        b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 1_000_000,
    ],
    ids=["one large header", "many headers", "a long path", "a header without end"],
)
def test_a_head_that_is_too_large_is_refused(
    server: ServerProcess, sockets: Callable[[], socket.socket], head: bytes
) -> None:
    asking = sockets()
    with contextlib.suppress(ConnectionError):
        asking.sendall(head)
    said = read_all(asking)

    assert said == b"" or refusal(said) == (431, "head_too_large")
    answered(server)


def test_a_header_of_many_megabytes_is_not_kept(
    server: ServerProcess, sockets: Callable[[], socket.socket]
) -> None:
    process = psutil.Process(server.process.pid)
    before = process.memory_info().rss
    asking = sockets()
    asking.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ")
    sent = 0
    with contextlib.suppress(ConnectionError):
        while sent < 200 << 20:
            asking.sendall(b"x" * (1 << 20))
            sent += 1 << 20

    assert sent < 20 << 20
    assert process.memory_info().rss - before < 20 << 20
    answered(server)


def test_bodies_that_drip_take_no_place_from_others_and_are_given_up(
    server: ServerProcess, sockets: Callable[[], socket.socket]
) -> None:
    slow = [sockets() for _ in range(8)]
    for connection in slow:
        connection.sendall(HEAD + b"Content-Length: 1000\r\n\r\n{")
    time.sleep(1.1)
    others = [answered(server) for _ in range(3)]

    assert max(others) < 1
    assert {refusal(read_answer(connection)) for connection in slow} == {(408, "body_timeout")}


def test_a_client_that_sends_on_after_its_refusal_is_cut_off(
    server: ServerProcess, sockets: Callable[[], socket.socket]
) -> None:
    endless = sockets()
    endless.sendall(HEAD + b"Content-Length: 99999999999\r\n\r\n")
    said = read_answer(endless)
    begun = time.monotonic()
    with contextlib.suppress(ConnectionError):
        while time.monotonic() - begun < 60:
            endless.sendall(b"x" * 10_000)
            time.sleep(0.02)

    assert refusal(said) == (413, "body_too_large")
    assert time.monotonic() - begun < 40
    answered(server)


def test_one_connection_more_than_there_may_be_takes_the_place_of_an_idle_one(
    server: ServerProcess, sockets: Callable[[], socket.socket]
) -> None:
    idle = []
    for _ in range(CONNECTIONS):
        idle.append(sockets())
        idle[-1].sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"alive" in read_answer(idle[-1])
    assert answered(server) < 1
    begun = time.monotonic()

    assert {read_all(connection) for connection in idle} == {b""}
    assert time.monotonic() - begun < 3


def test_when_all_connections_are_at_work_one_more_is_told_to_come_back(tmp_path: Path) -> None:
    server = ServerProcess.start(
        open_project(tmp_path / "project").settings, connections=4, body_seconds=2.0, idle_seconds=0.2
    )
    address = ("127.0.0.1", int(server.url.rsplit(":", 1)[1]))
    try:
        with contextlib.ExitStack() as stack:
            for _ in range(4):
                working = stack.enter_context(socket.create_connection(address))
                working.sendall(HEAD + b"Content-Length: 9\r\n\r\n{")
            time.sleep(0.3)
            said = read_all(stack.enter_context(socket.create_connection(address, timeout=5)))
            until(lambda: healthy(server.url))
    finally:
        server.kill()

    assert refusal(said) == (503, "overloaded")
    assert b"retry-after: 1" in said


def healthy(url: str) -> bool:
    """Whether it answers; it may close the connection instead."""
    try:
        return httpx.get(f"{url}/healthz").status_code == 200
    except httpx.TransportError:
        return False


def test_a_client_that_does_not_read_its_answers_is_given_up(
    server: ServerProcess, sockets: Callable[[], socket.socket]
) -> None:
    before = cut(server, "unread")
    deaf = sockets()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    request = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with contextlib.suppress(OSError):
        deaf.settimeout(0.5)
        for _ in range(2000):
            deaf.sendall(request)
    until(lambda: cut(server, "unread") != before)
    answered(server)


def test_what_is_no_http_is_told_so_and_ends(
    server: ServerProcess, sockets: Callable[[], socket.socket]
) -> None:
    for garbage in (b"\x16\x03\x01\x02\x00 hello\r\n\r\n", b"GET / HTTP/1.1\r\nbad header\r\n\r\n"):
        asking = sockets()
        asking.sendall(garbage)
        assert refusal(read_all(asking)) == (400, "bad_request")


def test_clients_that_break_off_leave_nothing_behind(
    server: ServerProcess, sockets: Callable[[], socket.socket]
) -> None:
    def break_off() -> None:
        connection = sockets()
        connection.sendall(HEAD + b'Content-Length: 19\r\n\r\n{"texts": ["tech"]}')
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    threads = [threading.Thread(target=lambda: [break_off() for _ in range(20)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answered(server)
    until(lambda: "lakeloop_connections 1.0" in httpx.get(f"{server.url}/metrics").text)
    assert "Traceback" not in (said := Path(server.log).read_text()), said
