"""Requests to versions of a small loop, written into the lake as the model server writes them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from lakeloop.lake.tables import FEEDBACK, OBSERVATIONS, PREDICTIONS
from lakeloop.records import now
from lakeloop.registry.registry import Registry
from lakeloop.registry.trials import Trial
from lakeloop.stages.frame.session import StageContext


class Requests:
    """Requests since the step of a trial began, one after the other; `write` sends them to the lake."""

    def __init__(self, context: StageContext) -> None:
        self._lake = context.lake
        trial = Registry(context.lake).read().trial
        assert trial is not None
        self.trial: Trial = trial
        self.champion = trial.over or ""
        self._at = trial.began_at
        self._number = 0
        self._predictions: list[dict[str, Any]] = []
        self._observations: list[dict[str, Any]] = []
        self._feedback: list[dict[str, Any]] = []

    def ask(
        self,
        count: int,
        share: float = 0.5,
        *,
        fails: Callable[[int], bool] = lambda number: False,
        latency_ms: float = 20.0,
        slower: float = 1.0,
        score: float = 0.9,
        right: Callable[[int], bool] | None = None,
    ) -> Requests:
        """`count` requests, of which a canary has `share`, and a shadow all; `fails` says of which it fails.

        `slower` and `score` are of the version in trial; `right` says whether feedback calls its answer so.
        """
        shadow = self.trial.phase == "shadow"
        every = 1 if shadow else round(1 / share)
        for number in range(count):
            tried = number % every == every - 1
            failed = tried and fails(self._number)
            if tried and (shadow or failed):
                self._observe(failed, latency_ms * slower, score)
            elif tried:
                self._predict(self.trial.version, latency_ms * slower, score)
            if shadow or not tried or failed:
                self._predict(self.champion, latency_ms, 0.9)
            if right is not None:
                truth = "sports" if right(self._number) or not tried else "tech"
                said = {"truth": json.dumps(truth), "source": "test", "received_at": self._at}
                self._feedback.append(self._row(**said))
            self._number += 1
            self._at += timedelta(microseconds=100)
        return self

    def write(self) -> None:
        """Send them."""
        batch = f"{now():%Y%m%dT%H%M%S%f}"
        tables = (
            ("predictions", self._predictions, PREDICTIONS),
            ("observations", self._observations, OBSERVATIONS),
            ("feedback", self._feedback, FEEDBACK),
        )
        for table, rows, schema in tables:
            if rows:
                filled = [{**row, "batch_id": batch} for row in rows]
                self._lake.append_once(table, pa.Table.from_pylist(filled, schema), batch_id=batch)
            rows.clear()

    def _row(self, **more: Any) -> dict[str, Any]:
        day = self._at.astimezone(UTC).date().isoformat()
        return {"partition": day, "request_id": f"r{self._number}", **more}

    def _predict(self, version: str, latency_ms: float, score: float) -> None:
        said: dict[str, Any] = {"predicted_at": self._at, "latency_ms": latency_ms, "answer": _answer(score)}
        self._predictions.append(self._row(**said, model_version=version, text_sha256="0", text="a text"))

    def _observe(self, failed: bool, latency_ms: float, score: float) -> None:
        said = {"error": "it broke", "answer": None} if failed else {"error": None, "answer": _answer(score)}
        role = {"role": self.trial.phase, "model_version": self.trial.version, "text_sha256": "0"}
        self._observations.append(self._row(**said, **role, observed_at=self._at, latency_ms=latency_ms))


def _answer(score: float) -> str:
    rest = (1 - score) / 2
    scores = {"sports": score, "business": rest, "tech": rest}
    return json.dumps({"label": "sports", "score": score, "scores": scores})


def later(hours: float) -> Callable[[], datetime]:
    """A clock that is ahead."""
    return lambda: now() + timedelta(hours=hours)
