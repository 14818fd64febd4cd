"""The metrics of the task over all rows, and what the task shows beside them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from lakeloop.errors import DataError
from lakeloop.evaluation.probes.base import Finding
from lakeloop.measures.registry import metrics_of

if TYPE_CHECKING:
    import pyarrow as pa

    from lakeloop.evaluation.judge import Judged
    from lakeloop.tasks.base import Task


class Overall:
    """The probe of the task's own metrics and tables."""

    def titles(self, task: str) -> Mapping[str, str]:
        return {metric.name: metric.title for metric in metrics_of(task)}

    def look(self, model: Judged, rows: pa.Table, task: Task) -> Finding:
        """Raises DataError when there are no rows, or a score is not a number."""
        scores = {}
        if rows.num_rows:
            scores = {metric.name: metric.compute(model.outcomes) for metric in metrics_of(task.kind)}
        if not scores or not all(map(math.isfinite, scores.values())):
            raise DataError(
                "no score can be computed",
                where=f"{model.contender.name} on {rows.num_rows} test rows",
                expected="a number for each metric",
                found=", ".join(f"{name} {score}" for name, score in scores.items()),
            )
        return Finding(scores, task.tables(model.outcomes))
