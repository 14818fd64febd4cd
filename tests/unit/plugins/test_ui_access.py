"""The pages are for logged-in users. Airflow's own auth manager and tokens, no stand-ins."""

from __future__ import annotations

import pytest
from airflow.api_fastapi.app import init_auth_manager
from airflow.api_fastapi.core_api.security import get_user
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from lakeloop_ui.access import require_form_token, visible_loop


def calls(dependant: Dependant) -> set[object]:
    return {dependant.call} | {call for inner in dependant.dependencies for call in calls(inner)}


def test_every_route_asks_airflow_who_is_there(app: FastAPI) -> None:
    assert len(app.routes) >= 6
    for route in app.routes:
        assert isinstance(route, APIRoute), f"{route}: a mounted application would be open to everybody"
        assert get_user in calls(route.dependant), f"{route.path} does not ask for a user"
        if route.methods != {"GET"}:
            assert require_form_token in calls(route.dependant), f"{route.path}: any site could post to it"


def test_every_route_of_a_loop_asks_whether_the_user_may_see_it(app: FastAPI) -> None:
    of_loops = [route for route in app.routes if isinstance(route, APIRoute) and "{loop}" in route.path]
    assert len(of_loops) >= 4
    for route in of_loops:
        assert visible_loop in calls(route.dependant), f"{route.path}: take the loop as LoopName"


PATHS = [
    "/",
    "/icon.svg",
    "/docs/news/index.html",
    "/models/news/v1",
    "/start/news",
    "/wandb/news/ingest/2026-11-18/x",
]


@pytest.mark.parametrize("path", PATHS)
def test_nobody_gets_in_without_a_token(app: FastAPI, path: str) -> None:
    init_auth_manager()
    with TestClient(app) as client:
        assert client.get(path).status_code == 401
        assert client.get(path, headers={"Authorization": "Bearer nonsense"}).status_code in {401, 403}


def test_a_viewer_gets_in(client: TestClient) -> None:
    assert "Nothing has run yet" in client.get("/").text
    assert client.get("/icon.svg").headers["content-type"] == "image/svg+xml"
    assert client.get("/docs/unknown/index.html").status_code == 404


def test_a_person_who_is_not_logged_in_is_asked_who_they_are_and_led_back(app: FastAPI) -> None:
    init_auth_manager()
    root = FastAPI()
    root.mount("/lakeloop", app)
    with TestClient(root, follow_redirects=False) as client:
        asked = client.get("/lakeloop/loops/news?day=2026-11-18", headers={"Accept": "text/html"})
        assert asked.status_code == 307
        back = "next=%2Flakeloop%2Floops%2Fnews%3Fday%3D2026-11-18"
        assert asked.headers["location"] == f"/api/v2/auth/login?{back}"
        refused = client.get(
            "/lakeloop/", headers={"Accept": "text/html", "Authorization": "Bearer nonsense"}
        )
        assert refused.status_code == 403
        assert "Log in again" in refused.text
