"""Generated files: served alone, and shown in a page of ours that has a way back."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from fastapi import APIRouter, HTTPException, Request, status
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse
from lakeloop_airflow.links import DATA_DOCS, DBT_DOCS, REPORT, page

from lakeloop.settings import Settings
from lakeloop_ui.access import LoopName
from lakeloop_ui.files import locate, serve
from lakeloop_ui.loop_page import newest_link
from lakeloop_ui.opened import Installation
from lakeloop_ui.rendering import render

router = APIRouter()
Kind = Literal["docs", "reports", "dbt"]
_TITLES: dict[Kind, str] = {"docs": DATA_DOCS, "reports": REPORT, "dbt": DBT_DOCS}
_WORDS = {"data_docs": "checks", "report": "evaluation"}


@router.get("/docs/{loop}/{path:path}")
def data_docs(loop: LoopName, path: str, settings: Installation) -> FileResponse:
    """Data Docs: the results of the checks."""
    return serve(settings.docs(loop), path)


@router.get("/reports/{loop}/{path:path}")
def report(loop: LoopName, path: str, settings: Installation) -> FileResponse:
    """Evaluation reports."""
    return serve(settings.reports(loop), path)


@router.get("/dbt/{loop}/{path:path}")
def dbt_docs(loop: LoopName, path: str, settings: Installation) -> FileResponse:
    """The page that dbt makes about the loop's models."""
    return serve(settings.dbt_docs(loop), path, alone=True)


@router.get("/view/{kind}/{loop}/{path:path}")
def view(request: Request, kind: Kind, loop: LoopName, path: str, settings: Installation) -> HTMLResponse:
    """One of these files in a frame, below the way back to its loop."""
    locate(_folder(settings, kind, loop), path)
    part = path.partition("/")[0] if kind != "dbt" else ""
    return render(
        request,
        "view.html.j2",
        frames="'self'",
        name=loop,
        title=" ".join(filter(None, (_TITLES[kind], part))),
        source=page(kind, loop, path),
    )


def _folder(settings: Settings, kind: Kind, loop: str) -> Path:
    folders = {"docs": settings.docs, "reports": settings.reports, "dbt": settings.dbt_docs}
    return folders[kind](loop)


@router.get("/newest/{loop}/{kind}")
def newest(loop: LoopName, kind: Literal["data_docs", "report"], settings: Installation) -> RedirectResponse:
    """The newest Data Docs or evaluation report: an address that a DAG's documentation can name."""
    if url := newest_link(settings, loop, kind):
        return RedirectResponse(url)
    raise HTTPException(status.HTTP_404_NOT_FOUND, f"{loop} has no {_WORDS[kind]} yet")
