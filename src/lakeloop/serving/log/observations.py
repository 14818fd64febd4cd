"""What clients are not told, for the table `observations`: answers of a shadow, failures of any version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lakeloop.lake.tables import OBSERVATIONS
from lakeloop.serving.log.keeping import kept, kept_id
from lakeloop.serving.log.table import TableLog
from lakeloop.serving.metrics import Role
from lakeloop.spec.release import Kept
from lakeloop.tasks.base import Answer
from lakeloop.tasks.reading import Instance

_ERROR_CHARACTERS = 500
_KEPT = ("text_sha256", "answer")
"""What there is of a row's content: its text is among the predictions, where anybody was told an answer."""


@dataclass(frozen=True)
class Observed:
    """One request to a version, and its answers to a shadow's or why there are none."""

    request_id: str
    at: datetime
    """UTC; its day is the partition."""
    model_version: str
    role: Role
    rows: Sequence[Instance]
    latency_ms: float
    """Of the shadow for all rows together; of a failure, until it was known."""
    answers: Sequence[Answer] = ()
    """One for each row; none where it failed."""
    error: str = ""
    """Why it failed; empty where it answered."""


def in_words(error: BaseException) -> str:
    """An error as an observation has it: its kind and the beginning of what it says, in one line."""
    said = " ".join(f"{type(error).__name__}: {error}".split())
    return said[:_ERROR_CHARACTERS].encode("utf-8", "backslashreplace").decode()


class ObservationLog(TableLog):
    """Keeps observations and publishes them. `record` may be called from any thread."""

    table = "observations"
    schema = OBSERVATIONS

    def record(self, observed: Observed) -> None:
        """Keep one observation. Raises nothing: what cannot be kept is counted and logged."""
        self._keep(observed.at.date(), _rows(observed, self._how))


def _rows(observed: Observed, keep: Kept) -> list[dict[str, Any]]:
    answers: Sequence[Answer | None] = observed.answers or [None] * len(observed.rows)
    return [
        {
            "request_id": kept_id(observed.request_id, keep),
            "observed_at": int(observed.at.timestamp() * 1_000_000),
            "model_version": observed.model_version,
            "role": observed.role,
            "error": observed.error or None,
            "latency_ms": observed.latency_ms,
            **{name: value for name, value in kept(row, answer, keep).items() if name in _KEPT},
        }
        for row, answer in zip(observed.rows, answers, strict=True)
    ]
