"""The values for the page of one model version, from the registry and from what its evaluation found."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from lakeloop_airflow.links import published

from lakeloop.errors import ArtifactError
from lakeloop.evaluation.probes.registry import titles_of
from lakeloop.evaluation.stored import read
from lakeloop.evidence import Evidence
from lakeloop.lake.store import Lake
from lakeloop.measures.registry import told
from lakeloop.registry.history import ModelVersion
from lakeloop.registry.registry import Registry
from lakeloop.settings import Settings
from lakeloop_ui.moves import offer_of
from lakeloop_ui.opened import open_to_look

log = logging.getLogger(__name__)


def version_page(settings: Settings, loop: str, name: str) -> dict[str, Any] | None:
    """The version called `name` and the moves of aliases to and from it; None when there is none."""
    lake = open_to_look(settings, loop).lake
    history = Registry(lake).read()
    version = history.versions.get(name)
    if version is None:
        return None
    evidence = _evidence(lake, version)
    models = [model.title for model in evidence.models] if evidence else [version.card.candidate]
    return {
        "version": version,
        "rows": evidence.rows if evidence else None,
        "models": models,
        "scores": list(_scores(version, evidence)),
        "report": _report(settings, loop, evidence),
        "aliases": history.aliases_of(name),
        "offer": offer_of(history, version),
        "gone": history.forgotten.get(name, ""),
        "moves_of_it": [move for move in reversed(history.moves) if name in (move.version, move.previous)],
    }


def _evidence(lake: Lake, version: ModelVersion) -> Evidence | None:
    """The evidence on the version; None for a version that is older than evidence, or when it is lost."""
    if not version.card.evidence:
        return None
    try:
        return read(lake.files, version.card.evidence)
    except ArtifactError as error:  # the card has the scores of the version itself
        log.warning("only the scores of the card are shown: %s", error)
        return None


def _report(settings: Settings, loop: str, evidence: Evidence | None) -> str:
    """Where the report of the evaluation is; empty where this machine has none."""
    if evidence is None:
        return ""
    path = settings.reports(loop) / evidence.partition / "index.html"
    return published(str(path), settings, loop) if path.is_file() else ""


def _scores(version: ModelVersion, evidence: Evidence | None) -> Iterator[tuple[str, list[str]]]:
    """Title of each score, and what each model has."""
    if evidence is None:
        yield from ((name, [told(name, score)]) for name, score in version.card.metrics.items())
        return
    titles = titles_of(evidence.task)
    for name in dict.fromkeys(name for model in evidence.models for name in model.scores):
        scores = [(model.scores.get(name), model.intervals.get(name)) for model in evidence.models]
        yield (
            titles.get(name, name),
            ["" if score is None else told(name, score, ends) for score, ends in scores],
        )
