"""The one list of probes, in the order in which what they find is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakeloop.evaluation.probes.abstention import Abstention
from lakeloop.evaluation.probes.base import Probe
from lakeloop.evaluation.probes.calibration import Calibration
from lakeloop.evaluation.probes.doubts import Doubts
from lakeloop.evaluation.probes.fairness import Fairness
from lakeloop.evaluation.probes.overall import Overall
from lakeloop.evaluation.probes.robustness import Robustness
from lakeloop.evaluation.probes.slices import Slices
from lakeloop.evaluation.probes.speed import Speed
from lakeloop.evaluation.probes.words import Words
from lakeloop.evidence import ModelEvidence

if TYPE_CHECKING:
    import pyarrow as pa

    from lakeloop.evaluation.judge import Judged
    from lakeloop.tasks.base import Task

PROBES: tuple[Probe, ...] = (
    Overall(),
    Calibration(),
    Abstention(),
    Slices(),
    Fairness(),
    Doubts(),
    Words(),
    Robustness(),
    Speed(),
)


def look_at(model: Judged, rows: pa.Table, task: Task) -> ModelEvidence:
    """All that the probes find of one model.

    Raises:
        DataError: a probe cannot say anything of these rows.
    """
    findings = [probe.look(model, rows, task) for probe in PROBES]
    contender, description = model.contender, model.description
    return ModelEvidence(
        name=contender.name,
        version=contender.version,
        digest=contender.digest,
        folder=contender.folder,
        method=description.method,
        dataset_digest=description.dataset_digest,
        validation=description.validation_metrics,
        rows_digest=model.rows_digest,
        bytes=model.bytes,
        scores={name: score for finding in findings for name, score in finding.scores.items()},
        intervals={name: ends for finding in findings for name, ends in finding.intervals.items()},
        left_out={name: why for finding in findings for name, why in finding.left_out.items()},
        thresholds=model.thresholds,
        tables=tuple(table for finding in findings for table in finding.tables),
    )


def titles_of(task: str) -> dict[str, str]:
    """Name of each score of a kind of task -> what people call it, in the order in which it is shown."""
    return {name: title for probe in PROBES for name, title in probe.titles(task).items()}
