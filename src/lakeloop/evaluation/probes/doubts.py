"""Test rows whose right answer is probably another: mistakes of the data, which put a bound on every score.

Confident learning (Northcutt et al. 2021): the model is sure of an answer where its probability is at least
the mean one among the rows that have it. A row is doubtful where the model is sure of another answer, gives
it, and does not take its own for as likely.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from lakeloop.evaluation.mistakes import excerpt
from lakeloop.evaluation.probes.base import Finding
from lakeloop.measures.registry import ABSTAINING, DOUBTFUL
from lakeloop.tasks.base import Grid
from lakeloop.tasks.reading import instances_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lakeloop.evaluation.judge import Judged
    from lakeloop.tasks.base import Task

_SHOWN = 20
_CHARACTERS = 160


class Doubts:
    """The probe of right answers that may be wrong; it finds nothing where answers have no probability."""

    def titles(self, task: str) -> Mapping[str, str]:
        return {DOUBTFUL.name: DOUBTFUL.title} if task in ABSTAINING else {}

    def look(self, model: Judged, rows: pa.Table, task: Task) -> Finding:
        if task.kind not in ABSTAINING or not rows.num_rows:
            return Finding()
        truth, chances = model.outcomes.truth, model.outcomes.outputs
        found = doubtful(truth, chances)
        worst = found[:_SHOWN]
        names = task.contract(task.profile([])).names
        texts = [
            excerpt(each.shown, _CHARACTERS)
            for each in instances_of(task.section, rows.take(pa.array(worst, pa.int64())))
        ]
        lines = []
        for text, place in zip(texts, worst.tolist(), strict=True):
            said, other = int(truth[place]), int(chances[place].argmax())
            lines.append(
                (text, names[said], float(chances[place, said]), names[other], float(chances[place, other]))
            )
        share = len(found) / rows.num_rows
        return Finding({DOUBTFUL.name: float(len(found))}, tables=(_grid(tuple(lines), len(found), share),))


def doubtful(truth: NDArray[Any], chances: NDArray[Any]) -> NDArray[Any]:
    """Places of the doubtful rows, int [n], the most doubtful first.

    `truth` are the numbers of the right answers, int [rows]; `chances` float [rows, answers].
    """
    rows = np.arange(len(truth))
    own = chances[rows, truth]
    known = np.bincount(truth, minlength=chances.shape[1])
    sums = np.bincount(truth, weights=own, minlength=chances.shape[1])
    # Of an answer without rows nobody is sure.
    bars = np.where(known > 0, sums / np.maximum(known, 1), np.inf)
    sure = np.where(chances >= bars, chances, -1.0)
    other = sure.argmax(axis=1)
    found = (sure[rows, other] >= 0) & (other != truth) & (chances.argmax(axis=1) != truth)
    places = np.flatnonzero(found)
    margin = own[places] - chances[places].max(axis=1)
    ranked: NDArray[Any] = places[np.argsort(margin, kind="stable")]
    return ranked


def _grid(lines: tuple[tuple[Any, ...], ...], count: int, share: float) -> Grid:
    shown = f" The {len(lines)} most doubtful are shown." if count > len(lines) else ""
    return Grid(
        title="Doubtful answers",
        columns=("text", "right answer", "its probability", "probably", "its probability "),
        rows=lines,
        note=f"{count} of the test rows ({share:.1%}) have a right answer that is probably another (confident"
        f" learning): the model is as sure of that one as it usually is where it is right.{shown} Some are"
        " mistakes of the model, some of the data; worth a look before the next training.",
        of_rows=True,
    )
