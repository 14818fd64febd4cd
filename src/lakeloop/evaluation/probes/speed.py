"""What an answer of the model costs, on this machine; it decides nothing unless `gate.limits` names it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lakeloop.evaluation.probes.base import Finding
from lakeloop.measures.registry import COSTS, LATENCY, MEGABYTES, TEXTS_PER_SECOND

if TYPE_CHECKING:
    import pyarrow as pa

    from lakeloop.evaluation.judge import Judged
    from lakeloop.tasks.base import Task


class Speed:
    """The probe of texts that a model answers in a second, of a text alone, and of the artifact's size."""

    def titles(self, task: str) -> Mapping[str, str]:  # noqa: ARG002
        return {cost.name: cost.title for cost in COSTS}

    def look(self, model: Judged, rows: pa.Table, task: Task) -> Finding:  # noqa: ARG002
        return Finding(
            {
                TEXTS_PER_SECOND.name: rows.num_rows / max(model.seconds, 1e-9),
                LATENCY.name: model.latency * 1000,
                MEGABYTES.name: model.bytes / 1e6,
            }
        )
