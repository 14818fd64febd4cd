"""The page of a loop's quarantine, its button that lets rows in, and the form for one row."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from fastapi import APIRouter, Depends, Form, HTTPException, Query, Request, status
from fastapi.responses import HTMLResponse

from lakeloop.errors import LakeloopError
from lakeloop.quality.quarantine import Wanted
from lakeloop.settings import Settings
from lakeloop.stages.frame.edit_files import Edit
from lakeloop_ui.access import FROM_OUR_FORM, LoopName, StartableLoop, User, form_token, may_start
from lakeloop_ui.opened import Installation
from lakeloop_ui.quarantine import quarantine_page
from lakeloop_ui.readmit import Started, edit_row, row_form, start_anew
from lakeloop_ui.rendering import render
from lakeloop_ui.starting import airflow_of

router = APIRouter()
_Filter = Annotated[str | None, Query(max_length=1000)]
_Given = Annotated[str | None, Form(max_length=1000)]
_Why = Annotated[str, Form(max_length=900)]
_MOST_CHARACTERS = 1_000_000


@dataclass(frozen=True)
class _Chosen:
    """Which rows are asked for."""

    day: _Filter = None
    stage: _Filter = None
    reason: _Filter = None
    column: _Filter = None
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0


@dataclass(frozen=True)
class _Narrowed:
    """The same in a form."""

    day: _Given = None
    stage: _Given = None
    reason: _Given = None
    column: _Given = None


@dataclass(frozen=True)
class _Spot:
    """One row."""

    day: Annotated[str, Query(max_length=10)]
    file: Annotated[str, Query(max_length=5000)]
    line: Annotated[int, Query(ge=1, le=2**62)]


@router.get("/quarantine/{loop}")
def quarantine(
    request: Request,
    loop: LoopName,
    user: User,
    settings: Installation,
    chosen: Annotated[_Chosen, Depends()],
) -> HTMLResponse:
    """What was set aside and why: counts that can be narrowed down, and the rows, a page at a time."""
    wanted = {name: value for name, value in asdict(chosen).items() if value is not None and name != "offset"}
    return _page(request, loop, user, settings, wanted, chosen.offset)


@router.post("/quarantine/{loop}/readmit", dependencies=[FROM_OUR_FORM])
def let_in(
    request: Request,
    loop: StartableLoop,
    user: User,
    settings: Installation,
    narrowed: Annotated[_Narrowed, Depends()],
    why: _Why = "",
) -> HTMLResponse:
    """Have the days of these rows done anew where the loop file was mended since."""
    wanted = {name: value for name, value in asdict(narrowed).items() if value is not None}
    rows = Wanted(narrowed.day, narrowed.stage, narrowed.reason, narrowed.column)
    started, problem = None, ""
    try:
        with airflow_of(request) as api:
            started = start_anew(settings, loop, rows, why, api)
    except LakeloopError as error:
        problem = str(error)
    return _page(request, loop, user, settings, wanted, 0, started=started, problem=problem, why=why)


@router.get("/quarantine/{loop}/row")
def show_row(
    request: Request,
    loop: StartableLoop,
    user: User,
    settings: Installation,
    spot: Annotated[_Spot, Depends()],
) -> HTMLResponse:
    """One row, to be edited."""
    return _row(request, loop, user, settings, spot)


@router.post("/quarantine/{loop}/row", dependencies=[FROM_OUR_FORM])
def take_row(
    request: Request,
    loop: StartableLoop,
    user: User,
    settings: Installation,
    spot: Annotated[_Spot, Depends()],
    name: Annotated[list[str] | None, Form()] = None,
    value: Annotated[list[Annotated[str, Form(max_length=_MOST_CHARACTERS)]] | None, Form()] = None,
    discard: Annotated[bool, Form()] = False,
    why: _Why = "",
) -> HTMLResponse:
    """Take the row in as it was edited, or leave it out for good."""
    fields = dict(zip(name or (), value or (), strict=False))
    edit = Edit(spot.day, spot.file, spot.line, discard, fields, 1)
    try:
        with airflow_of(request) as api:
            said = edit_row(settings, loop, edit, why, user, api)
    except LakeloopError as error:
        return _row(request, loop, user, settings, spot, problem=str(error), given=fields, why=why)
    return _page(request, loop, user, settings, {"day": spot.day}, 0, said=said)


def _page(
    request: Request,
    loop: str,
    user: BaseUser,
    settings: Settings,
    wanted: dict[str, str],
    offset: int,
    *,
    started: Started | None = None,
    said: str = "",
    problem: str = "",
    why: str = "",
) -> HTMLResponse:
    return render(
        request,
        "quarantine.html.j2",
        form_action="'self'",
        status_code=status.HTTP_409_CONFLICT if problem else status.HTTP_200_OK,
        name=loop,
        view=quarantine_page(settings, loop, wanted, offset),
        may_edit=may_start(loop, user),
        token=form_token(loop, user),
        started=started,
        said=said,
        problem=problem,
        why=why,
    )


def _row(
    request: Request,
    loop: str,
    user: BaseUser,
    settings: Settings,
    spot: _Spot,
    *,
    problem: str = "",
    given: dict[str, str] | None = None,
    why: str = "",
) -> HTMLResponse:
    found = row_form(settings, loop, spot.day, spot.file, spot.line)
    if found is None:
        raise HTTPException(
            status.HTTP_404_NOT_FOUND, f"no row of {spot.file}, line {spot.line}, is in quarantine"
        )
    return render(
        request,
        "quarantine_row.html.j2",
        form_action="'self'",
        status_code=status.HTTP_409_CONFLICT if problem else status.HTTP_200_OK,
        name=loop,
        row=found,
        fields={**found.fields, **(given or {})},
        token=form_token(loop, user),
        problem=problem,
        why=why,
    )
