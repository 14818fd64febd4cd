"""Whether the model says the same of a text that is typed differently: typos, capitals, punctuation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from lakeloop.evaluation.probes.base import Finding
from lakeloop.measures.intervals import drawn_weights, percentiles, wilson
from lakeloop.measures.registry import INVARIANCE, metrics_of
from lakeloop.tasks.base import Grid

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from lakeloop.evaluation.judge import Judged
    from lakeloop.measures.base import MetricSpec, Outcomes
    from lakeloop.tasks.base import Task

_FEWEST_ROWS = 2
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
        lines = []
        held, asked = np.zeros(rows.num_rows), np.zeros(rows.num_rows)
        for again in model.again:
            right = [truths[place] for place in again.places]
            before = task.outcomes([model.answers[place] for place in again.places], right)
            after = task.outcomes(again.answers, right)
            as_before = _same(before.answer, after.answer, near)
            same, count = int(as_before.sum()), len(right)
            line = (same / count, *wilson(same, count), _score(metric, after), _score(metric, before))
            lines.append((again.change, count, *line))
            if again.same_meaning:
                places = list(again.places)
                held[places] += as_before
                asked[places] += 1
        scores, intervals = _invariance(held, asked)
        return Finding(scores, intervals, tables=(_grid(lines, metric),))


def _invariance(
    held: NDArray[Any], asked: NDArray[Any]
) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """The share of answers that stay, and its interval, of how often each row was asked and its answer held.

    Rows are drawn, not answers: those to one row with several changes stand and fall together.
    """
    there = asked > 0
    if not there.any():
        return {}, {}
    counts = np.column_stack([held[there], asked[there]])
    score = float(counts[:, 0].sum() / counts[:, 1].sum())
    if len(counts) < _FEWEST_ROWS:
        return {INVARIANCE.name: score}, {}
    sums = np.concatenate([weights @ counts for weights in drawn_weights(len(counts))])
    ends = percentiles(sums[:, 0] / sums[:, 1], score, 0.0, 1.0)
    return {INVARIANCE.name: score}, {INVARIANCE.name: ends} if ends else {}


def _grid(lines: list[tuple[Any, ...]], metric: MetricSpec) -> Grid:
    return Grid(
        title="Changed texts",
        columns=("change", "rows", "same answer", "from", "to", metric.title, f"{metric.title}, unchanged"),
        rows=tuple(lines),
        compared="same answer",
        note="Some of the rows are asked again with their text typed differently. From and to are the ends of"
        " the interval of 95 % of the share that gets the same answer; the last two columns are the score of"
        " these rows with and without the change. A text without one of its words may say something else: it"
        " does not count towards `invariance`.",
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
