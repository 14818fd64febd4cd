"""The client without an Airflow; with one it is tested by everything in tests/loop."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lakeloop.errors import ServiceError
from lakeloop.local.airflow_api import AirflowApi


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
