"""Whether the model says the same of a text that is typed differently: typos, capitals, punctuation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from lakeloop.evaluation.probes.base import Finding
from lakeloop.measures.intervals import wilson
from lakeloop.measures.registry import INVARIANCE, metrics_of
from lakeloop.tasks.base import Grid

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from lakeloop.evaluation.judge import Judged
    from lakeloop.measures.base import MetricSpec, Outcomes
    from lakeloop.tasks.base import Task

_NEAR = 0.1
"""Numbers that differ by less than this share of the deviation of the right ones are the same answer."""


class Robustness:
    """The probe of changed texts; it finds nothing where none was asked."""

    def titles(self, task: str) -> Mapping[str, str]:  # noqa: ARG002
        return {INVARIANCE.name: INVARIANCE.title}

    def look(self, model: Judged, rows: pa.Table, task: Task) -> Finding:
        if not model.again:
            return Finding()
        truths, metric = task.truths(rows), metrics_of(task.kind)[0]
        near = _NEAR * _deviation(model.outcomes.truth)
        lines, held, asked = [], 0, 0
        for again in model.again:
            right = [truths[place] for place in again.places]
            before = task.outcomes([model.answers[place] for place in again.places], right)
            after = task.outcomes(again.answers, right)
            same, count = int(_same(before.answer, after.answer, near).sum()), len(right)
            scores = (_score(metric, after), _score(metric, before))
            lines.append((again.change, count, same / count, *wilson(same, count), *scores))
            held, asked = held + same, asked + count
        return Finding(scores={INVARIANCE.name: held / asked}, tables=(_grid(lines, metric),))


def _grid(lines: list[tuple[Any, ...]], metric: MetricSpec) -> Grid:
    return Grid(
        title="Changed texts",
        columns=("change", "rows", "same answer", "from", "to", metric.title, f"{metric.title}, unchanged"),
        rows=tuple(lines),
        compared="same answer",
        note="Some of the rows are asked again with their text typed differently. From and to are the ends of"
        " the interval of 95 % of the share that gets the same answer; the last two columns are the score of"
        " these rows with and without the change.",
    )


def _score(metric: MetricSpec, found: Outcomes) -> float | None:
    return None if metric.undefined and metric.undefined(found) else metric.compute(found)


def _deviation(truth: NDArray[Any]) -> float:
    return float(truth.std()) if np.issubdtype(truth.dtype, np.floating) else 0.0


def _same(before: NDArray[Any], after: NDArray[Any], near: float) -> NDArray[Any]:
    """Bool [rows]: are the answers the same."""
    if np.issubdtype(before.dtype, np.floating):
        return np.asarray(np.abs(before - after) <= near)
    if before.ndim > 1:
        return np.asarray((before == after).all(axis=1))
    return np.array([bool(one == other) for one, other in zip(before, after, strict=True)])
