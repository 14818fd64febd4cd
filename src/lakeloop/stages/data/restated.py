"""A day that is published in the place of other rows of it says so, in its record and to the tracker."""

from __future__ import annotations

from typing import NamedTuple

from lakeloop.stages.frame.session import StageSession


class Restated(NamedTuple):
    """What the record of a publication says of the one before."""

    words: str
    """For the end of a sentence; empty the first time, and where the rows are the same again."""
    metrics: dict[str, float]
    """`replaced_rows`, how many the day had."""


def restated(stage: StageSession, mart: str) -> Restated:
    """Look at the publication before, and tell the tracker; `mart` is the digest of the rows of this one."""
    before = stage.context.lake.ledger.latest("validate", stage.partition, "done")
    if before is None or before.outputs.get("mart") == mart:
        return Restated("", {})
    rows = before.counts.accepted if before.counts else 0
    metrics = {"replaced_rows": float(rows)}
    stage.tracker.log(metrics)
    words = f"; in place of {rows} row(s) of {before.provenance.finished_at:%Y-%m-%d %H:%M} UTC"
    return Restated(words, metrics)
