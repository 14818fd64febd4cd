"""The application below /lakeloop on Airflow's API server: its routes, all for logged-in users only."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, status
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response
from fastapi.templating import Jinja2Templates
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from lakeloop_airflow.links import page
from lakeloop_airflow.loops import installation

from lakeloop.errors import TerminalError
from lakeloop.settings import Settings
from lakeloop_ui.access import LOGGED_IN, LoopName, User, may_see
from lakeloop_ui.files import HARMLESS, locate, serve
from lakeloop_ui.models import model_page
from lakeloop_ui.overview import overview
from lakeloop_ui.runs import run_page

_HERE = Path(__file__).parent
_templates = Jinja2Templates(
    # Escapes always: by default only templates are escaped whose name ends in .html.
    env=Environment(loader=FileSystemLoader(_HERE / "templates"), autoescape=True, undefined=StrictUndefined)
)
_templates.env.globals["page"] = page

router = APIRouter()
Installation = Annotated[Settings, Depends(installation)]


def create_app() -> FastAPI:
    """The application; FastAPI's own pages are left out, they would be open to everybody."""
    app = FastAPI(title="Lakeloop", dependencies=[LOGGED_IN], docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(router)
    app.add_exception_handler(TerminalError, _unreadable)
    return app


async def _unreadable(_: Request, error: Exception) -> JSONResponse:
    """What a page is about is broken, or not there yet: the message says it, a traceback would not."""
    return JSONResponse({"detail": str(error)}, status.HTTP_409_CONFLICT, headers=HARMLESS)


@router.get("/")
def show_overview(request: Request, user: User, settings: Installation) -> HTMLResponse:
    """All loops: where they are, and why they are there."""
    loops = overview(settings, visible=lambda loop: may_see(loop, user))
    return _render(request, "overview.html.j2", loops=loops, settings=settings)


@router.get("/icon.svg")
def icon() -> FileResponse:
    """The icon in Airflow's menu."""
    return FileResponse(_HERE / "icon.svg", headers=HARMLESS)


@router.get("/docs/{loop}/{path:path}")
def data_docs(loop: LoopName, path: str, settings: Installation) -> FileResponse:
    """Data Docs: the results of the checks."""
    return serve(settings.docs(loop), path)


@router.get("/reports/{loop}/{path:path}")
def report(loop: LoopName, path: str, settings: Installation) -> FileResponse:
    """Evaluation reports."""
    return serve(settings.reports(loop), path)


@router.get("/models/{loop}/{version}")
def model(request: Request, loop: LoopName, version: str, settings: Installation) -> HTMLResponse:
    """One model version: what it is, how it scored, why it was let in, who pointed at it when."""
    found = model_page(settings, loop, version)
    if found is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, f"{loop} has no model version {version!r}")
    return _render(request, "model.html.j2", loop=loop, **found)


@router.get("/wandb/{loop}/{stage}/{partition}/{journal}")
def wandb_run(
    request: Request, loop: LoopName, stage: str, partition: str, journal: str, settings: Installation
) -> Response:
    """The W&B run of one task: W&B itself when it was mirrored online, what is on this disk when not."""
    path = locate(settings.journals, f"{loop}/{stage}/{partition}/{journal}.jsonl")
    run = run_page(path)
    if run.url:
        return RedirectResponse(run.url)
    return _render(request, "run.html.j2", loop=loop, stage=stage, partition=partition, run=run)


def _render(request: Request, template: str, **values: Any) -> HTMLResponse:
    nonce = secrets.token_urlsafe(16)
    values |= {"nonce": nonce, "now": datetime.now(UTC)}
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; img-src 'self'; "
        "frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
    )
    headers = {**HARMLESS, "Content-Security-Policy": policy}
    return _templates.TemplateResponse(request, template, values, headers=headers)
