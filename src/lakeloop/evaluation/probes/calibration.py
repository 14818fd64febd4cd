"""How sure the model is, beside how often it is right: the numbers of a reliability diagram."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from lakeloop.evaluation.probes.base import Finding
from lakeloop.measures.intervals import wilson
from lakeloop.measures.registry import CERTAINTIES
from lakeloop.tasks.base import Grid

if TYPE_CHECKING:
    import pyarrow as pa

    from lakeloop.evaluation.judge import Judged
    from lakeloop.tasks.base import Task

BINS = 10


class Calibration:
    """The probe of certainty; it finds nothing where answers have no probability."""

    def titles(self, task: str) -> Mapping[str, str]:  # noqa: ARG002
        return {}

    def look(self, model: Judged, rows: pa.Table, task: Task) -> Finding:  # noqa: ARG002
        if (certainty := CERTAINTIES.get(task.kind)) is None:
            return Finding()
        sure, right = certainty(model.outcomes)
        bins = np.clip(np.ceil(sure * BINS).astype(np.int64) - 1, 0, BINS - 1)
        found = []
        for number in range(BINS):
            inside = bins == number
            if count := int(inside.sum()):
                hits = int(right[inside].sum())
                place = f"{number / BINS:.1f} to {(number + 1) / BINS:.1f}"
                found.append((place, count, float(sure[inside].mean()), hits / count, *wilson(hits, count)))
        return Finding(
            tables=(
                Grid(
                    title="Calibration",
                    columns=("probability", "answers", "mean probability", "right", "from", "to"),
                    rows=tuple(found),
                    note="Answers by the probability that the model gives them. Where it is well calibrated,"
                    " the share that is right is the mean probability: from and to are the ends of its"
                    f" interval of 95 %. {_said(model)}",
                ),
            )
        )


def _said(model: Judged) -> str:
    """What the training did for it, in a sentence."""
    if (done := model.description.calibration) is None:
        return (
            "The training set no temperature (`train.calibration: temperature` would, and changes no answer)."
        )
    return (
        f"The training divided the outputs by a temperature of {done.temperature:.2f}: on its validation rows"
        f" the calibration error (ECE in ten bins) was {done.calibration_error_before:.4f} before and is"
        f" {done.calibration_error:.4f} since."
    )
