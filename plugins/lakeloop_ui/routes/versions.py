"""The page of a model version, and the button that makes it champion."""

from __future__ import annotations

from typing import Annotated

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from fastapi import APIRouter, Form, HTTPException, Request, status
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from lakeloop_airflow.links import page

from lakeloop.errors import ConfigurationError, FenceError
from lakeloop.settings import Settings
from lakeloop_ui.access import FROM_OUR_FORM, LoopName, ReleasableLoop, User, form_token, may_release
from lakeloop_ui.moves import end_trial, move_champion
from lakeloop_ui.opened import Installation
from lakeloop_ui.rendering import render
from lakeloop_ui.versions import version_page

router = APIRouter()
_MOST_CHARACTERS = 2000


@router.get("/models/{loop}/{version}")
def model(request: Request, loop: LoopName, version: str, user: User, settings: Installation) -> HTMLResponse:
    """One model version: what it is, how it scored, why it was let in, which aliases pointed at it when."""
    return _version(request, loop, version, user, settings)


@router.post("/models/{loop}/{version}/champion", dependencies=[FROM_OUR_FORM])
def make_champion(
    request: Request,
    loop: ReleasableLoop,
    version: str,
    user: User,
    settings: Installation,
    over: Annotated[str, Form(max_length=100)] = "",
    reason: Annotated[str, Form(max_length=_MOST_CHARACTERS)] = "",
) -> Response:
    """Roll back to the version, or promote it by hand; `over` is the champion that the page showed."""
    try:
        move_champion(settings, loop, version, over, reason, user)
    except (FenceError, ConfigurationError) as problem:
        return _version(request, loop, version, user, settings, problem=str(problem), reason=reason, code=409)
    return RedirectResponse(page("models", loop, version), status.HTTP_303_SEE_OTHER)


@router.post("/models/{loop}/{version}/trial", dependencies=[FROM_OUR_FORM])
def take_back(
    request: Request,
    loop: ReleasableLoop,
    version: str,
    user: User,
    settings: Installation,
    reason: Annotated[str, Form(max_length=_MOST_CHARACTERS)] = "",
) -> Response:
    """End the version's trial: the champion answers all requests again."""
    try:
        end_trial(settings, loop, version, reason, user)
    except (FenceError, ConfigurationError) as problem:
        return _version(request, loop, version, user, settings, problem=str(problem), reason=reason, code=409)
    return RedirectResponse(page("loops", loop) + "#release", status.HTTP_303_SEE_OTHER)


def _version(
    request: Request,
    loop: str,
    version: str,
    user: BaseUser,
    settings: Settings,
    *,
    problem: str = "",
    reason: str = "",
    code: int = status.HTTP_200_OK,
) -> HTMLResponse:
    found = version_page(settings, loop, version)
    if found is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, f"{loop} has no model version {version!r}")
    return render(
        request,
        "model.html.j2",
        form_action="'self'",
        status_code=code,
        name=loop,
        may_release=may_release(loop, user),
        token=form_token(loop, user),
        problem=problem,
        reason=reason,
        most=_MOST_CHARACTERS,
        **found,
    )
