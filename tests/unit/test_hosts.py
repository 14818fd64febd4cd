"""Which `Host` a server answers to, and what becomes of all other requests."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from lakeloop.hosts import HostGuard, allowed_hosts
from lakeloop.settings import Settings

INSTALLED = {
    "server_url": "http://model-server:8100",
    "server_link": "https://models.example.com/",
    "airflow_url": "http://api-server:8080",
}
HOSTILE = [
    "evil.example",
    "127.0.0.1.evil.example",
    "localhost.evil.example:8080",
    "evil@localhost",
    "localhost@evil.example",
    "localhost/evil",
    "localhost evil.example",
    "[::1].evil.example",
    "::1",
    "[::1",
    "",
    "*",
]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(root=tmp_path)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:8080", "localhost:1", "LocalHost", "localhost.", "[::1]", "[::1]:8080"]
)
def test_loopback_is_answered_under_each_of_its_names(settings: Settings, host: str) -> None:
    assert allowed_hosts(settings, "127.0.0.1").admit(host)


@pytest.mark.parametrize("host", [*HOSTILE, "192.168.1.9", "0.0.0.0"])
def test_a_server_of_this_machine_answers_to_nothing_else(settings: Settings, host: str) -> None:
    assert not allowed_hosts(settings, "127.0.0.1").admit(host)


@pytest.mark.parametrize("host", HOSTILE)
def test_a_server_of_the_network_answers_to_addresses_but_not_to_other_names(
    settings: Settings, host: str
) -> None:
    hosts = allowed_hosts(settings, "0.0.0.0")
    assert not hosts.admit(host)
    assert hosts.admit("192.168.1.9:8100")
    assert hosts.admit("[fe80::1]:8100")


def test_the_addresses_of_the_installation_are_its_own(tmp_path: Path) -> None:
    settings = Settings(root=tmp_path, **INSTALLED)
    hosts = allowed_hosts(settings, "gpu-box", "https://airflow.example.com/team", "")
    for host in (
        "model-server:8100", "models.example.com", "api-server:8080", "airflow.example.com", "gpu-box:80",
    ):  # fmt: skip
        assert hosts.admit(host)
    assert not hosts.admit("example.com")


def test_more_names_are_a_setting_and_a_star_is_any(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKELOOP_ALLOWED_HOSTS", '["Models.Example.com", "[fe80::1]"]')
    hosts = allowed_hosts(Settings(root=tmp_path), "127.0.0.1")
    assert hosts.admit("models.example.com:443")
    assert hosts.admit("[fe80::1]")
    assert not hosts.admit("evil.example")
    monkeypatch.setenv("LAKELOOP_ALLOWED_HOSTS", '["*"]')
    assert allowed_hosts(Settings(root=tmp_path), "127.0.0.1").admit("evil.example")


@pytest.fixture
def client(settings: Settings) -> TestClient:
    """A guarded app that says a secret, over HTTP and over a web socket."""

    async def tell(_: Request) -> PlainTextResponse:
        return PlainTextResponse("secret")

    async def tell_socket(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("secret")
        await socket.close()

    app = Starlette(routes=[Route("/", tell), WebSocketRoute("/socket", tell_socket)])
    app.add_middleware(HostGuard, hosts=allowed_hosts(settings, "127.0.0.1"))
    return TestClient(app, base_url="http://localhost:8080")


def test_a_request_under_another_name_gets_421_with_what_would_do(client: TestClient) -> None:
    assert client.get("/").text == "secret"
    answer = client.get("/", headers={"Host": "evil.example"})
    assert answer.status_code == 421
    assert answer.json()["error"] == {
        "code": "unknown_host",
        "message": "this server does not answer to that name; if it should, set LAKELOOP_ALLOWED_HOSTS",
        "expected": "Host: 127.0.0.1, ::1, localhost",
        "found": "Host: evil.example",
    }


def test_a_web_socket_under_another_name_is_not_opened(client: TestClient) -> None:
    with client.websocket_connect("ws://localhost:8080/socket") as socket:
        assert socket.receive_text() == "secret"
    with (
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect("/socket", headers={"Host": "evil.example"}),
    ):
        pass
