"""How much a model would answer, and how much of that right, if it held back what it is not sure of.

Thresholds are chosen on validation rows, what they are worth is measured on the test rows. Where the loop
file names texts that have none of the answers, also how many of them are turned away.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from lakeloop.evaluation.probes.base import Finding
from lakeloop.measures.abstaining import threshold_for
from lakeloop.measures.base import Outcomes
from lakeloop.measures.draws import ranking
from lakeloop.measures.intervals import drawn_weights, percentiles, wilson
from lakeloop.measures.registry import ABSTAINING, CERTAINTIES, OUT_OF_SCOPE
from lakeloop.tasks.base import Grid

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from lakeloop.evaluation.judge import Judged
    from lakeloop.tasks.base import Task

_PRECISIONS = (0.8, 0.9, 0.95, 0.98, 0.99)


class Abstention:
    """The probe of answers that are held back; it finds nothing where no threshold is known."""

    def titles(self, task: str) -> Mapping[str, str]:
        return {OUT_OF_SCOPE.name: OUT_OF_SCOPE.title} if task in ABSTAINING else {}

    def look(self, model: Judged, rows: pa.Table, task: Task) -> Finding:  # noqa: ARG002
        if task.kind not in ABSTAINING:
            return Finding()
        sure, right = CERTAINTIES[task.kind](model.outcomes)
        strangers = np.array([answer.score for answer in model.strangers])  # type: ignore[attr-defined]
        scores, intervals = _told_apart(sure, strangers) if len(strangers) else ({}, {})
        lines = tuple(_lines(model, sure, right, strangers))
        return Finding(scores, intervals, tables=(_grid(lines, len(strangers)),) if lines else ())


def _lines(
    model: Judged, sure: NDArray[Any], right: NDArray[Any], strangers: NDArray[Any]
) -> Iterator[tuple[Any, ...]]:
    asked = model.abstain
    wanted = {
        f"{precision:g}": threshold_for(precision, model.thresholds)
        for precision in sorted({*_PRECISIONS, *([asked.precision] if asked.precision else [])})
        if model.thresholds
    }
    if asked.below is not None:
        wanted[f"below {asked.below:g}"] = asked.below
    chosen = f"{asked.precision:g}" if asked.precision else f"below {asked.below:g}" if asked.below else ""
    best = model.thresholds[-1].precision if model.thresholds else 0.0
    for name, below in wanted.items():
        inside = sure >= below
        answered, hits = int(inside.sum()), int(right[inside].sum())
        said = f"{name} (deploy.abstain)" if name == chosen else name
        # In a column of its own: other models are found by the name, and reach what they reach.
        reached = None if name.startswith("below") else "yes" if float(name) <= best else "no"
        precision = (hits / answered, *wilson(hits, answered)) if answered else (None, None, None)
        away = (float((strangers < below).mean()),) if len(strangers) else ()
        yield (said, reached, below, answered / max(len(sure), 1), *precision, *away)


def _grid(lines: tuple[tuple[Any, ...], ...], strangers: int) -> Grid:
    away = f" Turned away: of {strangers} texts out of scope the share that gets none." if strangers else ""
    return Grid(
        title="Abstention",
        columns=(
            "precision asked", "reached", "probability", "answered", "precision", "from", "to",
            *(("out of scope, turned away",) if strangers else ()),
        ),
        rows=lines,
        compared="answered",
        note="If answers that are less probable were held back: the share of the test rows that would get"
        " one, and the share of these that is right, with the ends of its interval of 95 %. The probability"
        " is the lowest with which validation rows reach the precision that is asked, or come nearest to it;"
        f" `deploy.abstain` says which one the server goes by.{away}",
    )  # fmt: skip


def _told_apart(
    sure: NDArray[Any], strangers: NDArray[Any]
) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """How well certainty tells rows of the task from texts out of scope, and the interval of that."""
    within = np.r_[np.ones(len(sure), dtype=bool), np.zeros(len(strangers), dtype=bool)]
    both = Outcomes(within, within, np.r_[sure, strangers])
    area = ranking(lambda found: (found.truth[:, None], found.outputs[:, None]))(both)
    score = float(area(np.ones((1, both.rows)))[0, 0])
    drawn = np.concatenate([area(weights)[:, 0] for weights in drawn_weights(both.rows)])
    ends = percentiles(drawn, score, 0.0, 1.0)
    return {OUT_OF_SCOPE.name: score}, {OUT_OF_SCOPE.name: ends} if ends else {}
