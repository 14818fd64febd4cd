"""The pages of one run: the curves of a training, and what W&B has of a task."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from lakeloop.evaluation.probes.registry import titles_of
from lakeloop.spec.reading.load import load_named
from lakeloop_ui.access import LoopName
from lakeloop_ui.files import locate
from lakeloop_ui.opened import Installation
from lakeloop_ui.rendering import render
from lakeloop_ui.runs import run_page
from lakeloop_ui.trainings import curves_of

router = APIRouter()


@router.get("/curves/{loop}/{stage}/{partition}/{journal}")
def curves(
    request: Request, loop: LoopName, stage: str, partition: str, journal: str, settings: Installation
) -> HTMLResponse:
    """How one training went: its losses and scores, step by step."""
    path = locate(settings.journals, f"{loop}/{stage}/{partition}/{journal}.jsonl")
    found = curves_of(path, loop, titles_of(load_named(loop, settings).task.kind))
    return render(request, "curves.html.j2", name=loop, stage=stage, partition=partition, run=found)


@router.get("/wandb/{loop}/{stage}/{partition}/{journal}")
def wandb_run(
    request: Request, loop: LoopName, stage: str, partition: str, journal: str, settings: Installation
) -> Response:
    """The W&B run of one task: W&B itself when it was mirrored online, what is on this disk when not."""
    path = locate(settings.journals, f"{loop}/{stage}/{partition}/{journal}.jsonl")
    run = run_page(path)
    if run.url:
        return RedirectResponse(run.url)
    return render(request, "run.html.j2", name=loop, stage=stage, partition=partition, run=run)
