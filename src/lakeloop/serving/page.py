"""The page at `/`: what is served, and a box to try it; one file, which asks this server and nobody else."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from lakeloop.serving.exchange import ServedLoop
from lakeloop.serving.guard.problems import ProblemError
from lakeloop.serving.router import answering
from lakeloop.serving.state import challenger_info
from lakeloop.tasks.features import NumericFeature
from lakeloop.tasks.reading import Reading


def start_page(loops: Mapping[str, ServedLoop]) -> tuple[str, dict[str, str]]:
    """The page of these loops in HTML, and the headers that keep anything else from running in it."""
    nonce = secrets.token_urlsafe(16)
    shown, asks = [], {}
    for served in list(loops.values()):
        about, reads = _about(served)
        shown.append(about)
        if reads is not None:
            asks[served.name] = _asks(reads)
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    headers = {"Content-Security-Policy": policy, "Cache-Control": "no-store"}
    return _template().render(loops=shown, asks=asks, nonce=nonce), headers


def _about(served: ServedLoop) -> tuple[dict[str, Any], Reading | None]:
    """What is said of a loop, and what its model reads, where one answers."""
    about: dict[str, Any] = {"name": served.name, "task": served.task, "version": None, "problem": ""}
    about["challenger"] = challenger_info(served)
    try:
        model = answering(served.slots)
    except ProblemError as problem:
        return {**about, "problem": problem.detail.message}, None
    description, refused = model.predictor.description, served.slots.champion.refused
    about = {
        **about,
        "task": description.contract.kind,
        "version": model.release.version,
        "candidate": description.candidate,
        "since": model.loaded_at,
        "reads": description.reads.in_words,
        "device": model.predictor.device,
    }
    if refused:
        about["problem"] = f"{refused.release.version} was refused: {refused.reason}"
    return about, description.reads


def _asks(reads: Reading) -> dict[str, Any]:
    features = [
        {"name": feature.name, "number": isinstance(feature, NumericFeature)} for feature in reads.features
    ]
    return {"pair": reads.text_pair, "features": features}


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("lakeloop.serving", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("start.html.j2")
