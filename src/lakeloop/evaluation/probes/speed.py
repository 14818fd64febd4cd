"""How fast the model answered, on this machine; it decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lakeloop.evaluation.probes.base import Finding

if TYPE_CHECKING:
    import pyarrow as pa

    from lakeloop.evaluation.judge import Judged
    from lakeloop.tasks.base import Task

TEXTS_PER_SECOND = "texts_per_second"


class Speed:
    """The probe of texts that a model answers in a second."""

    def titles(self, task: str) -> Mapping[str, str]:  # noqa: ARG002
        return {TEXTS_PER_SECOND: "texts a second"}

    def look(self, model: Judged, rows: pa.Table, task: Task) -> Finding:  # noqa: ARG002
        return Finding({TEXTS_PER_SECOND: rows.num_rows / max(model.seconds, 1e-9)})
