"""Every answer of a loop, for its table `predictions`; how it gets there is said by `table`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lakeloop.lake.tables import PREDICTIONS
from lakeloop.serving.log.keeping import kept, kept_id
from lakeloop.serving.log.table import TableLog
from lakeloop.spec.release import Kept
from lakeloop.tasks.base import Answer
from lakeloop.tasks.reading import Instance
from lakeloop.tasks.registry import logged_answer


@dataclass(frozen=True)
class Answered:
    """One request and what was answered."""

    request_id: str
    at: datetime
    """UTC; its day is the partition."""
    model_version: str
    rows: Sequence[Instance]
    answers: Sequence[Answer]
    latency_ms: float
    """From the parsed request to the answer of the model, for all its rows together; of a champion that steps
    in for another version, from then on."""


class PredictionLog(TableLog):
    """Keeps answers and publishes them. `record` may be called from any thread."""

    table = "predictions"
    schema = PREDICTIONS

    def record(self, answered: Answered) -> None:
        """Keep one answer. Never fails the request: what cannot be kept is counted and logged."""
        self._keep(answered.at.date(), _rows(answered, self._how))

    def _row(self, spooled: dict[str, Any]) -> dict[str, Any]:
        # A spool of an earlier version may be left: its rows have their answers in other keys.
        return {**spooled, "answer": logged_answer(spooled)}


def _rows(answered: Answered, keep: Kept) -> list[dict[str, Any]]:
    return [
        {
            "request_id": kept_id(answered.request_id, keep),
            "predicted_at": int(answered.at.timestamp() * 1_000_000),
            "model_version": answered.model_version,
            "latency_ms": answered.latency_ms,
            **kept(row, answer, keep),
        }
        for row, answer in zip(answered.rows, answered.answers, strict=True)
    ]
