"""The application below /lakeloop on Airflow's API server: its pages, all for logged-in users only."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.exceptions import HTTPException

from lakeloop.errors import LakeloopError
from lakeloop_ui.access import LOGGED_IN
from lakeloop_ui.rendering import say_refusal, say_unreadable
from lakeloop_ui.routes import files, loops, quarantine, runs, start, versions


def create_app() -> FastAPI:
    """The application; FastAPI's own pages are left out, they would be open to everybody."""
    app = FastAPI(title="Lakeloop", dependencies=[LOGGED_IN], docs_url=None, redoc_url=None, openapi_url=None)
    for pages in (loops, quarantine, versions, runs, start, files):
        app.include_router(pages.router)
    app.add_exception_handler(LakeloopError, say_unreadable)
    app.add_exception_handler(HTTPException, say_refusal)
    return app
