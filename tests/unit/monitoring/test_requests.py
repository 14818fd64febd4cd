"""Requests in the tables of a lake, as a look at a trial counts them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lakeloop.gate.decide import Decision
from lakeloop.lake.tables import FEEDBACK, OBSERVATIONS, PREDICTIONS
from lakeloop.monitoring import asked
from lakeloop.monitoring.canary import Name
from lakeloop.monitoring.requests import requests_of
from lakeloop.registry.history import ModelCard, ModelVersion
from lakeloop.registry.trials import Phase, Trial
from lakeloop.stages.frame.session import StageContext
from tests.support.small_loop import small_context

BEGAN = datetime(2026, 11, 18, 23, 59, 50, tzinfo=UTC)
"""Ten seconds before another day."""
Row = tuple[str, float, str, dict[str, Any]]
"""Request, seconds after the beginning, version, what else."""


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StageContext:
    monkeypatch.setattr(asked, "now", lambda: BEGAN + timedelta(minutes=5))
    return small_context(tmp_path)


def written(context: StageContext, table: str, at: str, schema: pa.Schema, rows: list[Row]) -> None:
    """Each in a batch of its own, so in a file of its own."""
    for number, (request, seconds, version, more) in enumerate(rows):
        moment = BEGAN + timedelta(seconds=seconds)
        row = {"partition": f"{moment:%Y-%m-%d}", "request_id": request, at: moment, **more}
        named = {"model_version": version} if version else {}
        batch = f"{table}-{number}"
        filled = pa.Table.from_pylist([{**row, **named, "batch_id": batch}], schema)
        context.lake.append_once(table, filled, batch_id=batch)


def said(label: str = "sports", score: float = 0.8, latency: float = 20.0) -> dict[str, Any]:
    scores = {"sports": score, "tech": 1 - score, "business": 0.0}
    answer = json.dumps({"label": label, "score": score, "scores": scores})
    return {"answer": answer, "latency_ms": latency}


def truth(label: str) -> dict[str, Any]:
    return {"truth": json.dumps(label), "source": "test"}


def seen(context: StageContext, phase: Phase) -> tuple[dict[Name, list[tuple[bool, float]]], int]:
    """What is known: each signal as one pair a request; and how many requests the champion had."""
    trial = Trial(
        sequence=1,
        version="v2",
        phase=phase,
        share=0.5,
        over="v1",
        cause="e1",
        reason="",
        began_at=BEGAN,
        run_id="r",
    )
    known = requests_of(context.lake, context.loop, trial, {name: version(name) for name in ("v1", "v2")}, "")
    pairs = {
        name: list(zip(one.our.tolist(), one.number.tolist(), strict=True))
        for name, one in known.seen.items()
    }
    return pairs, known.champion


def version(name: str) -> ModelVersion:
    decision = Decision(accepted=None, reason="for the test", checks=())
    card = ModelCard(candidate="baseline", method="head", dataset_digest="d", decision=decision)
    return ModelVersion(name=name, digest=name * 32, card=card, created_at=BEGAN, run_id="r")


def test_requests_of_both_versions_since_the_step_began_count_once_each(context: StageContext) -> None:
    rows: list[Row] = [
        ("r0", -1, "v1", said()),  # before it began
        ("smoke-1", 1, "v2", said()),
        ("r9", 1, "v7", said()),  # of neither
        ("r2", 2, "v2", said(latency=30)),
        ("r2", 2, "v2", said("tech", latency=30)),  # its second text
        ("r1", 12, "v1", said()),  # on the next day
        ("r3", 3, "v1", said()),  # because the other had failed
        ("r4", 4, "v2", {"answer": "0.7", "latency_ms": 25.0}),  # of another task
        ("r4", 5, "v2", said("tech", score=0.6, latency=26)),  # again: the same id is another request
        ("r3", 13, "v1", said(latency=21)),
    ]
    written(context, "predictions", "predicted_at", PREDICTIONS, rows)
    failed: dict[str, Any] = {"role": "canary", "error": "it broke", "answer": None, "latency_ms": 9.0}
    written(context, "observations", "observed_at", OBSERVATIONS, [("r3", 2.5, "v2", failed)])
    told: list[Row] = [
        ("r1", 20, "", truth("sports")),
        ("r2", 21, "", truth("sports")),  # two texts: of which is not told
        ("r4", 22, "", truth("sports")),
        ("r4", 14, "", truth("tech")),  # what came last counts, in whatever order it is written
        ("r7", 15, "", truth("tech")),
    ]
    written(context, "feedback", "received_at", FEEDBACK, told)
    found, champion = seen(context, "canary")
    assert champion == 2
    assert found["failures"] == [(True, 0), (True, 1), (True, 0), (True, 0), (False, 0), (False, 0)]
    assert found["latency"] == [(True, 30), (True, 25), (True, 26), (False, 20), (False, 21)]
    assert found["wrong"] == [(False, 0), (True, 0.6)]
    assert found["unsure"] == []


def test_a_shadow_is_compared_on_the_requests_that_both_were_asked(context: StageContext) -> None:
    shadow = {"role": "shadow", "error": None}
    rows: list[Row] = [("r1", 1, "v1", said()), ("r2", 2, "v1", said()), ("r3", 3, "v1", said())]
    written(context, "predictions", "predicted_at", PREDICTIONS, rows)
    broke = {**shadow, "error": "it broke", "answer": None}
    mirrored: list[Row] = [
        ("r3", 4, "v2", {**shadow, **said("tech")}),
        ("r2", 5, "v2", broke),
        ("r5", 6, "v2", {**shadow, **said()}),
    ]
    written(context, "observations", "observed_at", OBSERVATIONS, mirrored)
    told: list[Row] = [(f"r{number}", 9 - number, "", truth("sports")) for number in (1, 2, 3)]
    written(context, "feedback", "received_at", FEEDBACK, told)
    found, champion = seen(context, "shadow")
    assert champion == 3
    assert found["failures"] == [(False, 0), (True, 0), (False, 0), (True, 1)]
    assert found["wrong"] == [(False, 0), (True, 0.8)]
    assert "latency" not in found


def test_feedback_that_is_no_answer_of_the_task_takes_no_other_with_it(context: StageContext) -> None:
    class Picky:
        """As a task whose answers are numbers, which a word cannot be compared with."""

        def errors(self, answers: list[Any], truths: list[Any]) -> list[float]:
            return [abs(answer.score - float(truth)) for answer, truth in zip(answers, truths, strict=True)]

    rows: list[Row] = [(f"r{number}", number, "v1", said(score=0.75)) for number in range(5)]
    written(context, "predictions", "predicted_at", PREDICTIONS, rows)
    words = ["0.25", "a word", "0.5", "another", "0.75"]
    told: list[Row] = [(f"r{number}", 9, "", truth(word)) for number, word in enumerate(words)]
    written(context, "feedback", "received_at", FEEDBACK, told)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(asked, "task_of", lambda _: Picky())
        found, _ = seen(context, "canary")
    assert found["wrong"] == [(False, 0.5), (False, 0.25), (False, 0.0)]


def test_nothing_is_known_of_tables_without_rows(context: StageContext) -> None:
    for phase in _phases():
        found, champion = seen(context, phase)
        assert champion == 0
        assert not any(found.values())


def _phases() -> Iterator[Phase]:
    yield "shadow"
    yield "canary"
