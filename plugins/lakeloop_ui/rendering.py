"""How pages are made: the templates, and the headers that keep anything else from running in them."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from fastapi import Request, status
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from fastapi.templating import Jinja2Templates
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from lakeloop_airflow.links import ASK, airflow_page, page
from starlette.exceptions import HTTPException

from lakeloop.measures.base import shown
from lakeloop.plural import counted, ends, waits_for_label
from lakeloop.stages.catalogue import DAGS, stage_named
from lakeloop.stages.frame.why import beside, shortened
from lakeloop_ui.files import HARMLESS

HERE = Path(__file__).parent


def dag_page(loop: str, stage: str = "ingest") -> str:
    """The page of the DAG that runs `stage` of a loop; empty when no DAG runs it any more."""
    try:
        return airflow_page("dags", f"{loop}.{stage_named(stage).dag}")
    except KeyError:
        return ""


def asked_page(loop: str) -> str:
    """Airflow's page on which the open question of a loop is answered."""
    return airflow_page("dags", f"{loop}.deploy", "tasks", ASK, "required_actions")


def run_page_of(run_id: str) -> str:
    """Airflow's page of the run that a record names, `<dag>:<run>`; empty for work without Airflow."""
    dag, _, run = run_id.partition(":")
    return airflow_page("dags", dag, "runs", run) if run else ""


_templates = Jinja2Templates(
    # Escapes always: by default only templates are escaped whose name ends in .html.
    env=Environment(loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined)
)
_templates.env.filters |= {"shown": shown, "shortened": shortened, "beside": beside, "ends": ends}
_templates.env.globals |= {
    "page": page,
    "airflow_page": airflow_page,
    "asked_page": asked_page,
    "dag_page": dag_page,
    "dags": DAGS,
    "run_page_of": run_page_of,
    "counted": counted,
    "waits_for_label": waits_for_label,
}


def render(
    request: Request,
    template: str,
    *,
    form_action: str = "'none'",
    frames: str = "'none'",
    status_code: int = status.HTTP_200_OK,
    **values: Any,
) -> HTMLResponse:
    """The page that `template` makes of `values`.

    `form_action` and `frames` are what its forms may be sent to and its frames may show, as a policy of the
    browser says it.
    """
    nonce = secrets.token_urlsafe(16)
    values |= {"nonce": nonce, "now": datetime.now(UTC)}
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; img-src 'self'; "
        f"frame-src {frames}; frame-ancestors 'self'; base-uri 'none'; form-action {form_action}"
    )
    headers = {**HARMLESS, "Content-Security-Policy": policy}
    return _templates.TemplateResponse(request, template, values, status_code=status_code, headers=headers)


async def say_refusal(request: Request, error: Exception) -> Response:
    """What a person or a program is not given, and why: as a page with a way back, or as JSON."""
    assert isinstance(error, HTTPException)
    if error.status_code == status.HTTP_401_UNAUTHORIZED and request.method == "GET" and _is_person(request):
        return RedirectResponse(_login(request))
    return _say(request, error.status_code, str(error.detail), dict(error.headers or {}))


async def say_unreadable(request: Request, error: Exception) -> Response:
    """What a page is about is broken, or not there yet: the message says it, a traceback would not."""
    return _say(request, status.HTTP_409_CONFLICT, str(error), {})


def _say(request: Request, code: int, words: str, headers: dict[str, str]) -> Response:
    if not _is_person(request):
        return JSONResponse({"detail": words}, code, headers={**headers, **HARMLESS})
    login = _login(request) if code == status.HTTP_403_FORBIDDEN else ""
    answer = render(request, "error.html.j2", status_code=code, code=code, words=words, login=login)
    answer.headers.update(headers)
    return answer


def _is_person(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


def _login(request: Request) -> str:
    """Where Airflow asks who a person is, and leads back to what they asked for."""
    asked = request.url.path if request.method == "GET" else page("")
    query = f"?{request.url.query}" if request.method == "GET" and request.url.query else ""
    return f"{airflow_page('api', 'v2', 'auth', 'login')}?{urlencode({'next': asked + query})}"
