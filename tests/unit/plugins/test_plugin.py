"""What the plugin gives to Airflow's API server."""

from __future__ import annotations

import pytest
from airflow.api_fastapi.app import init_plugins
from airflow.plugins_manager import get_fastapi_plugins
from fastapi import FastAPI
from fastapi.testclient import TestClient

from lakeloop.settings import Settings


@pytest.fixture
def api_server(settings: Settings) -> FastAPI:
    """An application of Airflow's with what our plugin adds, as Airflow adds it; and a route of its own."""
    app = FastAPI()

    @app.get("/auth/token")
    def token() -> str:
        return "admin"

    get_fastapi_plugins.cache_clear()
    init_plugins(app)
    return app


def test_airflow_hands_a_token_to_its_own_names_only(api_server: FastAPI) -> None:
    client = TestClient(api_server, base_url="http://127.0.0.1:8080")
    assert client.get("/auth/token").json() == "admin"
    assert client.get("/auth/token", headers={"Host": "localhost:8080"}).json() == "admin"
    for path in ("/auth/token", "/lakeloop/", "/nothing"):
        refused = client.get(path, headers={"Host": "evil.example"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (421, "unknown_host")
