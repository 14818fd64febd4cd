"""Starting a loop: what it would do, and the button that does it."""

from __future__ import annotations

from typing import Annotated

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse

from lakeloop.errors import LakeloopError
from lakeloop.local.start import carry_out, plan
from lakeloop.settings import Settings
from lakeloop.sources.days import days_to_run
from lakeloop.spec.reading.load import load_named
from lakeloop_ui.access import FROM_OUR_FORM, StartableLoop, User, form_token
from lakeloop_ui.opened import Installation
from lakeloop_ui.rendering import render
from lakeloop_ui.starting import airflow_of

router = APIRouter()


def _days(first: str = "", last: str = "") -> tuple[str, str]:
    return first, last


def _days_of_form(first: Annotated[str, Form()] = "", last: Annotated[str, Form()] = "") -> tuple[str, str]:
    return first, last


Days = Annotated[tuple[str, str], Depends(_days)]
DaysOfForm = Annotated[tuple[str, str], Depends(_days_of_form)]
"""First and last day of a backfill, empty when not chosen."""


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
    return render(
        request,
        "start.html.j2",
        form_action="'self'",
        token=form_token(loop, user),
        name=loop,
        days=days,
        plan=planned,
        error=error,
        done=done and not error,
    )
