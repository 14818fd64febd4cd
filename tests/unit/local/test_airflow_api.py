"""The client without an Airflow; with one it is tested by everything in tests/loop."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from lakeloop.errors import ServiceError
from lakeloop.local.airflow_api import AirflowApi
from lakeloop.local.state import Stack


def test_an_airflow_that_is_gone_is_named_and_not_a_traceback_of_the_client() -> None:
    # Port 9 (discard) is served by nobody here.
    with AirflowApi("http://127.0.0.1:9") as api:
        for ask in (
            lambda: api.trigger("news.ingest", "2026-11-20"),
            lambda: api.set_pool("gpu", 1, "one device"),
            api.health,
        ):
            with pytest.raises(ServiceError, match=r"does not answer[\s\S]*make up"):
                ask()


class NoAirflow(BaseHTTPRequestHandler):
    """Answers with a page, whatever it is asked."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>hello</html>")

    def log_message(self, *_: object) -> None:
        """The test has nothing to say."""


def test_another_program_that_answers_is_not_taken_for_airflow() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), NoAirflow)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        with (
            AirflowApi(f"http://127.0.0.1:{server.server_port}") as api,
            pytest.raises(ServiceError, match="what answers is no Airflow"),
        ):
            api.health()
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize(("there", "asked"), [(True, ["GET"]), (False, ["GET", "POST"])])
def test_a_pool_that_is_there_is_not_created_to_see_that(there: bool, asked: list[str]) -> None:
    methods: list[str] = []

    def airflow(request: httpx.Request) -> httpx.Response:
        methods.append(request.method)
        return httpx.Response(200 if there or request.method == "POST" else 404, json={"name": "gpu"})

    client = httpx.Client(base_url="http://x", transport=httpx.MockTransport(airflow))
    AirflowApi("http://x", client).set_pool("gpu", 1, "one device")
    assert methods == asked


@pytest.mark.parametrize(("failures", "asked"), [(1, 2), (9, 3)])
def test_a_run_that_airflow_could_not_begin_for_a_moment_is_asked_for_again(
    failures: int, asked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda _seconds: None)
    answers = iter([500] * failures + [200])
    requests: list[str] = []

    def airflow(request: httpx.Request) -> httpx.Response:
        requests.append(request.url.path)
        return httpx.Response(next(answers), json={"dag_run_id": "run-1", "detail": "database is locked"})

    api = AirflowApi("http://x", httpx.Client(base_url="http://x", transport=httpx.MockTransport(airflow)))
    if failures < asked:
        assert api.trigger("news.ingest", "2026-11-20") == "run-1"
    else:
        with pytest.raises(ServiceError, match="Airflow answered 500"):
            api.trigger("news.ingest", "2026-11-20")
    assert len(requests) == asked


@pytest.mark.parametrize("status", [201, 403, 409])
def test_each_dag_file_is_asked_to_be_read_once(status: int) -> None:
    dags = [{"relative_fileloc": f"{name}.py", "file_token": name} for name in ("train", "ingest", "train")]
    asked: list[str] = []

    def airflow(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json={"dags": dags})
        asked.append(request.url.path)
        return httpx.Response(status, json=None)

    client = httpx.Client(base_url="http://x", transport=httpx.MockTransport(airflow))
    AirflowApi("http://x", client).read_dag_files()
    assert asked == ["/api/v2/parseDagFile/train", "/api/v2/parseDagFile/ingest"]


def test_where_people_log_in_commands_act_as_the_admin_of_the_stack(tmp_path: Path) -> None:
    passwords = tmp_path / "passwords.json"
    stack = Stack(airflow_url="http://x", server_url="", components=(), admin="ada", passwords=str(passwords))
    asked: list[tuple[str, str, str]] = []

    def airflow(request: httpx.Request) -> httpx.Response:
        shown = request.headers.get("Authorization", "")
        asked.append((request.method, request.url.path, shown))
        if request.url.path == "/auth/token":
            known = json.loads(request.content) == {"username": "ada", "password": "secret"}
            return httpx.Response(201 if known else 401, json={"access_token": "t"})
        return httpx.Response(200, json={"dags": []})

    def api() -> AirflowApi:
        found = AirflowApi("http://x", login=stack.login)
        found._client = httpx.Client(base_url="http://x", transport=httpx.MockTransport(airflow))
        return found

    with pytest.raises(ServiceError, match="password of Airflow's user is not known"):
        api().paused_of("news")
    passwords.write_text('{"ada": "wrong"}')
    with pytest.raises(ServiceError, match="401 to a request for a token of ada"):
        api().paused_of("news")
    passwords.write_text('{"ada": "secret"}')
    assert api().paused_of("news") == {}
    assert asked[-2:] == [("POST", "/auth/token", ""), ("GET", "/api/v2/dags", "Bearer t")]
