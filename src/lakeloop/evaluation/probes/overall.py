"""The metrics of the task over all rows, and what the task shows beside them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from lakeloop.errors import DataError
from lakeloop.evaluation.probes.base import Finding
from lakeloop.measures.intervals import intervals_of
from lakeloop.measures.registry import metrics_of

if TYPE_CHECKING:
    import pyarrow as pa

    from lakeloop.evaluation.judge import Judged
    from lakeloop.evidence import ModelEvidence
    from lakeloop.measures.base import MetricSpec
    from lakeloop.tasks.base import Task


def require_decisive(models: Sequence[ModelEvidence], metric: MetricSpec) -> None:
    """Raises DataError when the rows give no score by the metric that decides."""
    for model in models:
        if why := model.left_out.get(metric.name):
            raise DataError(
                f"the test rows give no {metric.title}, by which candidates are chosen",
                where=f"{model.name}, {metric.name}",
                expected="rows that have a score",
                found=why,
                remedy="publish more partitions, or name another evaluate.metric in the loop file",
            )


class Overall:
    """The probe of the task's own metrics and tables."""

    def titles(self, task: str) -> Mapping[str, str]:
        return {metric.name: metric.title for metric in metrics_of(task)}

    def look(self, model: Judged, rows: pa.Table, task: Task) -> Finding:
        """Raises DataError when there are no rows, or a score is not a number."""
        metrics = metrics_of(task.kind) if rows.num_rows else ()
        reasons = {each.name: each.undefined(model.outcomes) for each in metrics if each.undefined}
        left_out = {name: why for name, why in reasons.items() if why}
        known = [metric for metric in metrics if metric.name not in left_out]
        scores: dict[str, float] = {}
        # Those that take any numbers first: of outputs that are none, scikit-learn says nothing.
        for metric in sorted(known, key=lambda metric: metric.evaluation_only):
            scores[metric.name] = score = metric.compute(model.outcomes)
            if not math.isfinite(score):
                break
        if not scores or not all(map(math.isfinite, scores.values())):
            raise DataError(
                "no score can be computed",
                where=f"{model.contender.name} on {rows.num_rows} test rows",
                expected="a number for each metric",
                found=", ".join(f"{name} {score}" for name, score in scores.items()),
            )
        ends = intervals_of(known, model.outcomes, scores)
        return Finding(scores, ends, left_out, task.tables(model.outcomes))
