"""The application below /lakeloop on Airflow's API server: its routes, all for logged-in users only."""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from fastapi import APIRouter, Depends, FastAPI, Form, HTTPException, Query, Request, status
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response
from fastapi.templating import Jinja2Templates
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from lakeloop_airflow.links import airflow_page, page, published
from lakeloop_airflow.loops import installation

from lakeloop.errors import LakeloopError, TerminalError
from lakeloop.local.start import carry_out, plan
from lakeloop.measures.base import shown
from lakeloop.settings import Settings
from lakeloop.sources.days import days_to_run
from lakeloop.spec.reading.load import load_named
from lakeloop.stages.frame.why import shortened
from lakeloop_ui.access import (
    FROM_OUR_FORM,
    LOGGED_IN,
    LoopName,
    StartableLoop,
    User,
    form_token,
    may_see,
    may_start,
)
from lakeloop_ui.files import HARMLESS, locate, serve
from lakeloop_ui.models import model_page
from lakeloop_ui.overview import overview, status_of
from lakeloop_ui.quarantine import quarantine_page
from lakeloop_ui.runs import run_page
from lakeloop_ui.start import airflow_of
from lakeloop_ui.why import why_page

_HERE = Path(__file__).parent
_templates = Jinja2Templates(
    # Escapes always: by default only templates are escaped whose name ends in .html.
    env=Environment(loader=FileSystemLoader(_HERE / "templates"), autoescape=True, undefined=StrictUndefined)
)
_templates.env.filters |= {"shown": shown, "shortened": shortened}
_templates.env.globals |= {
    "page": page,
    "dag_page": lambda loop, stage="ingest": airflow_page("dags", f"{loop}.{stage}"),
}

_WORDS = {"data_docs": "checks", "report": "evaluation"}

router = APIRouter()
Installation = Annotated[Settings, Depends(installation)]
Filter = Annotated[str | None, Query(max_length=1000)]


def _days(first: str = "", last: str = "") -> tuple[str, str]:
    return first, last


def _days_of_form(first: Annotated[str, Form()] = "", last: Annotated[str, Form()] = "") -> tuple[str, str]:
    return first, last


Days = Annotated[tuple[str, str], Depends(_days)]
DaysOfForm = Annotated[tuple[str, str], Depends(_days_of_form)]
"""First and last day of a backfill, empty when not chosen."""


@dataclass(frozen=True)
class _Chosen:
    """Which rows of a quarantine are asked for."""

    day: Filter = None
    stage: Filter = None
    reason: Filter = None
    column: Filter = None
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0


Chosen = Annotated[_Chosen, Depends()]


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
    loops = overview(
        settings, visible=lambda loop: may_see(loop, user), startable=lambda loop: may_start(loop, user)
    )
    return _render(request, "overview.html.j2", loops=loops, settings=settings)


@router.get("/icon.svg")
def icon() -> FileResponse:
    """The icon in Airflow's menu."""
    return FileResponse(_HERE / "icon.svg", headers=HARMLESS)


@router.get("/start/{loop}")
def show_start(
    request: Request, loop: StartableLoop, user: User, settings: Installation, days: Days
) -> HTMLResponse:
    """What starting a loop would do, and the button that does it. Changes nothing."""
    return _start_page(request, loop, user, settings, days, done=False)


@router.post("/start/{loop}", dependencies=[FROM_OUR_FORM])
def start(
    request: Request, loop: StartableLoop, user: User, settings: Installation, days: DaysOfForm
) -> HTMLResponse:
    """Start the loop as the page before said, and say what was done."""
    return _start_page(request, loop, user, settings, days, done=True)


def _start_page(
    request: Request, loop: str, user: BaseUser, settings: Settings, days: tuple[str, str], *, done: bool
) -> HTMLResponse:
    spec = load_named(loop, settings)
    planned, error = None, ""
    try:
        chosen = days_to_run(spec, settings, days[0] or None, days[1] or None)
        with airflow_of(request) as api:
            planned = plan(api, spec, chosen)
            if done:
                carry_out(api, planned)
    except LakeloopError as problem:
        error = str(problem)
    values = {"loop": loop, "days": days, "plan": planned, "error": error, "done": done and not error}
    return _render(request, "start.html.j2", form_action="'self'", token=form_token(loop, user), **values)


@router.get("/docs/{loop}/{path:path}")
def data_docs(loop: LoopName, path: str, settings: Installation) -> FileResponse:
    """Data Docs: the results of the checks."""
    return serve(settings.docs(loop), path)


@router.get("/reports/{loop}/{path:path}")
def report(loop: LoopName, path: str, settings: Installation) -> FileResponse:
    """Evaluation reports."""
    return serve(settings.reports(loop), path)


@router.get("/newest/{loop}/{kind}")
def newest(loop: LoopName, kind: Literal["data_docs", "report"], settings: Installation) -> RedirectResponse:
    """The newest Data Docs or evaluation report: an address that a DAG's documentation can name."""
    found = status_of(loop, settings)
    if found and (url := published(found.links.get(kind, ""), settings, loop)):
        return RedirectResponse(url)
    raise HTTPException(status.HTTP_404_NOT_FOUND, f"{loop} has no {_WORDS[kind]} yet")


@router.get("/models/{loop}/{version}")
def model(request: Request, loop: LoopName, version: str, settings: Installation) -> HTMLResponse:
    """One model version: what it is, how it scored, why it was let in, which aliases pointed at it when."""
    found = model_page(settings, loop, version)
    if found is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, f"{loop} has no model version {version!r}")
    return _render(request, "model.html.j2", loop=loop, **found)


@router.get("/why/{loop}")
def why(request: Request, loop: LoopName, settings: Installation) -> HTMLResponse:
    """The next training beside the last: what is equal, what is not, and what follows. Runs nothing."""
    return _render(request, "why.html.j2", loop=loop, found=why_page(settings, loop))


@router.get("/quarantine/{loop}")
def quarantine(request: Request, loop: LoopName, settings: Installation, chosen: Chosen) -> HTMLResponse:
    """What was set aside and why: counts that can be narrowed down, and the rows, a page at a time."""
    wanted = {name: value for name, value in asdict(chosen).items() if value is not None and name != "offset"}
    view = quarantine_page(settings, loop, wanted, chosen.offset)
    return _render(request, "quarantine.html.j2", loop=loop, view=view)


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


def _render(request: Request, template: str, form_action: str = "'none'", **values: Any) -> HTMLResponse:
    nonce = secrets.token_urlsafe(16)
    values |= {"nonce": nonce, "now": datetime.now(UTC)}
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; img-src 'self'; "
        f"frame-ancestors 'self'; base-uri 'none'; form-action {form_action}"
    )
    headers = {**HARMLESS, "Content-Security-Policy": policy}
    return _templates.TemplateResponse(request, template, values, headers=headers)
