"""What clients are not told is in the lake once: answers of a shadow and failures, a row for each text."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from lakeloop.errors import ArtifactError
from lakeloop.lake.tables import OBSERVATIONS
from lakeloop.serving.log.observations import ObservationLog, Observed, in_words
from lakeloop.serving.log.spool import Spool
from lakeloop.serving.metrics import ServerMetrics
from lakeloop.tasks.classification import Label
from lakeloop.tasks.reading import Instance
from tests.support.serving import open_project, value

DAY = datetime(2026, 11, 20, 12, tzinfo=UTC)
ROWS = (Instance("one"), Instance("two"))


def test_answers_of_a_shadow_and_failures_are_rows_that_the_lake_has_once(
    tmp_path: Path, metrics: ServerMetrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = open_project(tmp_path / "project").lake

    def publish(rows: pa.Table, batch_id: str) -> None:
        lake.append_once("observations", rows, batch_id=batch_id)

    answer = Label(label="tech", score=0.75, scores={"sports": 0.25, "tech": 0.75})
    spool = Spool(tmp_path / "spool", batch_rows=100, backlog_bytes=1 << 20)
    log = ObservationLog(spool, publish, metrics.of_loop("news"), flush_seconds=1)
    log.record(Observed("r1", DAY, "v2", "shadow", ROWS, 1.5, answers=[answer, answer]))
    log.record(Observed("r2", DAY, "v2", "canary", ROWS, 2.5, error="ArtifactError: no"))
    with monkeypatch.context() as patch:
        patch.setattr(Spool, "remove", lambda *_: None)
        patch.setattr(Spool, "oldest", lambda self: self._closed.pop() if self._closed else None)
        log.flush()
    spool.close()
    again = Spool(tmp_path / "spool", batch_rows=100, backlog_bytes=1 << 20)
    assert again.rows == 4  # published, and then the process was killed
    ObservationLog(again, publish, metrics.of_loop("news"), flush_seconds=1).flush()

    found = lake.read("observations")
    assert set(found.column_names) == set(OBSERVATIONS.names)
    rows = sorted(found.to_pylist(), key=lambda row: row["request_id"])
    assert [row["request_id"] for row in rows] == ["r1", "r1", "r2", "r2"]
    assert [row["role"] for row in rows] == ["shadow", "shadow", "canary", "canary"]
    assert json.loads(rows[0]["answer"])["label"] == "tech"
    assert (rows[0]["error"], rows[0]["latency_ms"], rows[0]["observed_at"]) == (None, 1.5, DAY)
    assert (rows[2]["answer"], rows[2]["error"]) == (None, "ArtifactError: no")
    assert len(rows[0]["text_sha256"]) == 64


def test_what_cannot_be_kept_is_counted_apart_from_the_predictions(
    tmp_path: Path, metrics: ServerMetrics
) -> None:
    spool = Spool(tmp_path, batch_rows=100, backlog_bytes=1)
    log = ObservationLog(spool, lambda *_: None, metrics.of_loop("news"), flush_seconds=1)
    for _ in range(2):
        log.record(Observed("r1", DAY, "v2", "canary", ROWS, 1.0, error="no"))

    assert value(metrics, "lakeloop_observations_dropped_total", loop="news") == 2
    assert value(metrics, "lakeloop_observations_backlog_rows", loop="news") == 2
    assert value(metrics, "lakeloop_predictions_dropped_total", loop="news") == 0


def test_an_error_is_told_in_one_bounded_line() -> None:
    error = ArtifactError("the network fails", where="v2", found="x" * 1000)

    assert in_words(error).startswith("ArtifactError: v2: the network fails found: xxx")
    assert len(in_words(error)) == 500
    assert in_words(ValueError("\ud800")) == "ValueError: \\ud800"
