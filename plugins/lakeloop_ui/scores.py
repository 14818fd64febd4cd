"""The values of a loop's scores over time: each evaluation by the ledger, and what the gate made of it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from lakeloop_airflow.links import published

from lakeloop.errors import ArtifactError
from lakeloop.gate.decide import Decision
from lakeloop.lake.files import LakeFiles
from lakeloop.measures.base import MetricSpec
from lakeloop.records import StageRecord
from lakeloop.registry.decisions import SUPERSEDED, decision_of, is_decided
from lakeloop.settings import Settings
from lakeloop_ui.charts import Chart, Series, draw

log = logging.getLogger(__name__)

CHAMPION = "champion"
SHOWN = 20
"""Evaluations and decisions in tables; the chart has all."""


@dataclass(frozen=True)
class Evaluated:
    """One evaluation of production."""

    day: str
    at: datetime
    scores: dict[str, float]
    """Model -> score by the loop's metric."""
    best: str
    """The candidate with the best score; empty where none has one."""
    report: str
    """Address; empty where this machine has none."""
    rows: int | None
    """Test rows."""


@dataclass(frozen=True)
class Decided:
    """One decision of the gate."""

    day: str
    at: datetime
    word: str
    """What became of the candidate: accepted, refused, or superseded by a newer one."""
    reason: str
    version: str
    """That it became; empty for a refusal."""
    run_id: str
    decision: Decision | None
    """Check by check; None of a release that kept none, or where it cannot be read."""


def scores_of(entry: StageRecord, metric: str) -> dict[str, float]:
    """Model -> its score by `metric` in the record of an evaluation."""
    end = f"/{metric}"
    return {
        name.removesuffix(end): score
        for name, score in entry.metrics.items()
        if name.count("/") == 1 and name.endswith(end)
    }


def best_scores(entries: Sequence[StageRecord], metric: MetricSpec) -> list[float]:
    """The best candidate's score in each evaluation of production, in the order of `entries`."""
    found = []
    for entry in filter(_is_evaluation, entries):
        scores = scores_of(entry, metric.name)
        if best := _best(scores, metric):
            found.append(scores[best])
    return found


def evaluations(
    entries: Sequence[StageRecord], metric: MetricSpec, settings: Settings, loop: str
) -> list[Evaluated]:
    """The evaluations of production among `entries`, oldest first."""
    found = []
    for entry in filter(_is_evaluation, entries):
        scores = scores_of(entry, metric.name)
        rows = entry.outputs.get("rows", "")
        found.append(
            Evaluated(
                day=entry.partition,
                at=entry.provenance.finished_at,
                scores=scores,
                best=_best(scores, metric),
                report=published(entry.links.get("report", ""), settings, loop),
                rows=int(rows) if rows.isdigit() else None,
            )
        )
    return found


def chart_of(evaluated: Sequence[Evaluated], title: str) -> Chart | None:
    """A line for each model through its scores, by evaluation; None where there are no scores."""
    models = dict.fromkeys(name for one in evaluated for name in one.scores)
    ordered = sorted(models, key=lambda name: (name != CHAMPION, list(models).index(name)))
    lines = [
        Series(
            name.replace("-", " "),
            tuple((place, one.scores[name]) for place, one in enumerate(evaluated) if name in one.scores),
        )
        for name in ordered
    ]
    return draw(title, lines, [one.day for one in evaluated])


def decisions(entries: Sequence[StageRecord], files: LakeFiles) -> Iterator[Decided]:
    """The newest decisions of the gate, newest first."""
    releases = [entry for entry in entries if is_decided(entry)]
    for entry in releases[::-1][:SHOWN]:
        yield Decided(
            day=entry.partition,
            at=entry.provenance.finished_at,
            word="superseded" if SUPERSEDED in entry.outputs else _WORDS[entry.status],
            reason=entry.reason,
            version=entry.outputs.get("version", ""),
            run_id=entry.provenance.run_id,
            decision=_decision(files, entry),
        )


_WORDS = {"done": "accepted", "refused": "refused"}


def _is_evaluation(entry: StageRecord) -> bool:
    return entry.stage == "evaluate" and entry.status == "done"


def _best(scores: dict[str, float], metric: MetricSpec) -> str:
    candidates = {name: score for name, score in scores.items() if name not in (CHAMPION, "best-version")}
    if not candidates:
        return ""
    pick = max if metric.higher_is_better else min
    return pick(candidates, key=candidates.__getitem__)


def _decision(files: LakeFiles, entry: StageRecord) -> Decision | None:
    try:
        return decision_of(files, entry)
    except (ArtifactError, OSError, ValueError) as error:  # the sentence of the record is shown all the same
        log.warning("only the reason of a decision is shown: %s", error)
        return None
