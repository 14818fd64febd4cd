from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.support.airflow import ROOT, prepare_airflow

prepare_airflow()

import pytest  # noqa: E402
from airflow import settings as airflow_settings  # noqa: E402
from airflow.api_fastapi.app import init_auth_manager  # noqa: E402
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser  # noqa: E402
from airflow.models.revoked_token import RevokedToken  # noqa: E402
from fastapi import FastAPI  # noqa: E402
from fastapi.testclient import TestClient  # noqa: E402
from lakeloop_ui.app import create_app  # noqa: E402

from lakeloop.attempt import Attempt  # noqa: E402
from lakeloop.records import Counts  # noqa: E402
from lakeloop.settings import Settings  # noqa: E402
from lakeloop.stages.frame.session import StageContext  # noqa: E402


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """An installation with the loop files of the repository and nothing that ever ran."""
    monkeypatch.setenv("LAKELOOP_ROOT", str(ROOT))
    monkeypatch.setenv("LAKELOOP_HOME", str(tmp_path / "home"))
    return Settings()


@pytest.fixture(scope="session")
def app() -> FastAPI:
    return create_app()


@pytest.fixture
def client(app: FastAPI, settings: Settings) -> Iterator[TestClient]:
    """A browser of the user ann, who may look at everything and change nothing."""
    manager = init_auth_manager()
    # All that a check of a token needs of Airflow's database.
    RevokedToken.__table__.create(airflow_settings.engine, checkfirst=True)
    token = manager.generate_jwt(SimpleAuthManagerUser(username="ann", role="viewer"))
    with TestClient(app, headers={"Authorization": f"Bearer {token}"}) as browser:
        yield browser


@pytest.fixture
def ran(settings: Settings) -> StageContext:
    """A loop of which one stage ended."""
    context = StageContext.open("news", settings, Attempt("news.ingest:manual__1"))
    with context.stage("ingest", "2026-11-18", config={"files": 1}) as stage:
        stage.tracker.log({"quarantined_share": 0.25})
        stage.done(
            reason="4 lines <b>of</b> a drop",
            outputs={"raw": "0" * 64},
            counts=Counts(read=4, accepted=3, quarantined=1),
        )
    return context
