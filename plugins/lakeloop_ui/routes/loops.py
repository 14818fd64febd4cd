"""The overview, the page of a loop with its box for questions, and what belongs to one loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from fastapi import APIRouter, Depends, Form, Path, Query, Request
from fastapi.responses import FileResponse, HTMLResponse

from lakeloop.settings import Settings
from lakeloop.spec.reading.load import load_named
from lakeloop_ui.access import FROM_OUR_FORM, LoopName, User, form_token, may_release, may_see, may_start
from lakeloop_ui.files import HARMLESS
from lakeloop_ui.impact import impact_page
from lakeloop_ui.loop_page import loop_page
from lakeloop_ui.opened import Installation
from lakeloop_ui.overview import overview, totals
from lakeloop_ui.predict import MOST_CHARACTERS, Asked, ask, fields_of
from lakeloop_ui.rendering import HERE, render
from lakeloop_ui.why import why_page

router = APIRouter()
Day = Annotated[str, Path(pattern=r"^\d{4}-\d{2}-\d{2}$")]


@dataclass(frozen=True)
class _Place:
    """What of a loop's days is asked for."""

    day: Annotated[str, Query(max_length=10)] = ""
    month: Annotated[str, Query(max_length=7)] = ""


@router.get("/")
def show_overview(request: Request, user: User, settings: Installation) -> HTMLResponse:
    """All loops: how they are, and where their pages are."""
    cards = overview(
        settings, visible=lambda loop: may_see(loop, user), startable=lambda loop: may_start(loop, user)
    )
    return render(request, "overview.html.j2", cards=cards, totals=totals(cards), settings=settings)


@router.get("/icon.svg")
def icon() -> FileResponse:
    """The icon in Airflow's menu."""
    return FileResponse(HERE / "icon.svg", headers=HARMLESS)


@router.get("/loops/{loop}")
def show_loop(
    request: Request,
    loop: LoopName,
    user: User,
    settings: Installation,
    place: Annotated[_Place, Depends()],
) -> HTMLResponse:
    """All of one loop; with a day, what is known of that."""
    return _loop(request, loop, user, settings, place, Asked())


@router.post("/loops/{loop}/predict", dependencies=[FROM_OUR_FORM])
def predict(
    request: Request,
    loop: LoopName,
    user: User,
    settings: Installation,
    text: Annotated[str, Form(max_length=MOST_CHARACTERS)] = "",
    text_pair: Annotated[str, Form(max_length=MOST_CHARACTERS)] = "",
    feature: Annotated[list[str] | None, Form()] = None,
) -> HTMLResponse:
    """The page of the loop with the answer of its model to a text, asked of the model server."""
    spec = load_named(loop, settings)
    given = iter(feature or [])
    filled = {
        field.name: text_pair if field.name == "text_pair" else next(given, "") for field in fields_of(spec)
    }
    return _loop(request, loop, user, settings, _Place(), ask(settings, spec, text, filled))


def _loop(
    request: Request, loop: str, user: BaseUser, settings: Settings, place: _Place, asked: Asked
) -> HTMLResponse:
    view = loop_page(settings, loop, day=place.day, month=place.month)
    return render(
        request,
        "loop.html.j2",
        form_action="'self'",
        view=view,
        place=place,
        asked=asked,
        fields=fields_of(load_named(loop, settings)),
        startable=may_start(loop, user),
        may_release=may_release(loop, user),
        token=form_token(loop, user),
    )


@router.get("/why/{loop}")
def why(request: Request, loop: LoopName, settings: Installation) -> HTMLResponse:
    """The next training beside the last: what is equal, what is not, and what follows. Runs nothing."""
    return render(request, "why.html.j2", name=loop, found=why_page(settings, loop))


@router.get("/impact/{loop}/{day}")
def impact(request: Request, loop: LoopName, day: Day, settings: Installation) -> HTMLResponse:
    """What was made of a day's rows, for each time that it was published: data sets, models, answers."""
    view = impact_page(settings, loop, day)
    return render(request, "impact.html.j2", name=loop, day=day, view=view)
