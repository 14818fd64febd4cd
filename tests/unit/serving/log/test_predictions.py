"""Every answered request is in the lake exactly once, whatever died; the lake never fails a request."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from lakeloop.errors import DataError
from lakeloop.lake.tables import PREDICTIONS
from lakeloop.serving.log.predictions import Answered, PredictionLog
from lakeloop.serving.log.spool import Spool
from lakeloop.serving.metrics import ServerMetrics
from lakeloop.tasks.classification import Label
from lakeloop.tasks.reading import Instance
from lakeloop.tasks.regression import Value
from tests.support.serving import open_project, value
from tests.support.waiting import until

DAY = datetime(2026, 11, 20, 12, tzinfo=UTC)


class Table:
    """A table that takes each batch once, as the lake does, and can be away."""

    def __init__(self) -> None:
        self.batches: dict[str, pa.Table] = {}
        self.calls = 0
        self.failure: Exception | None = None

    def append_once(self, rows: pa.Table, batch_id: str) -> None:
        self.calls += 1
        if self.failure:
            raise self.failure
        self.batches.setdefault(batch_id, rows)

    @property
    def rows(self) -> list[dict[str, object]]:
        return [row for rows in self.batches.values() for row in rows.to_pylist()]


def answered(number: int, *, at: datetime = DAY, texts: int = 1) -> Answered:
    answer = Label(label="tech", score=0.75, scores={"sports": 0.25, "tech": 0.75})
    return Answered(f"r{number}", at, "v1", [Instance(f"text {number}")] * texts, [answer] * texts, 1.5)


def open_log(
    root: Path, table: Table, metrics: ServerMetrics, *, rows: int = 100, backlog: int = 1 << 20
) -> PredictionLog:
    spool = Spool(root, batch_rows=rows, backlog_bytes=backlog)
    return PredictionLog(spool, table.append_once, metrics.of_loop("news"), flush_seconds=0.02)


def test_a_row_carries_what_was_asked_answered_and_by_which_model(
    tmp_path: Path, metrics: ServerMetrics
) -> None:
    table = Table()
    log = open_log(tmp_path, table, metrics)
    log.record(answered(1))
    log.flush()

    (row,) = table.rows
    assert (row["partition"], row["request_id"], row["model_version"]) == ("2026-11-20", "r1", "v1")
    assert (row["text"], row["latency_ms"], row["predicted_at"]) == ("text 1", 1.5, DAY)
    answer = {"label": "tech", "score": 0.75, "scores": {"sports": 0.25, "tech": 0.75}}
    assert json.loads(str(row["answer"])) == answer
    assert set(row) == set(PREDICTIONS.names)
    assert len(str(row["text_sha256"])) == 64


def test_an_answer_that_is_a_number_is_a_row_like_any_other(tmp_path: Path, metrics: ServerMetrics) -> None:
    table = Table()
    log = open_log(tmp_path, table, metrics)
    log.record(Answered("r1", DAY, "v1", [Instance("a text")], [Value(value=3.5)], 1.5))
    log.flush()

    assert [row["answer"] for row in table.rows] == ['{"value":3.5}']


def test_rows_that_an_earlier_version_left_in_the_spool_have_their_answer(
    tmp_path: Path, metrics: ServerMetrics
) -> None:
    old = {
        "request_id": "r1", "predicted_at": 1, "model_version": "v1", "text_sha256": "", "text": "t",
        "label": "tech", "score": 0.75, "scores": '{"sports": 0.25, "tech": 0.75}', "latency_ms": 1.0,
    }  # fmt: skip
    (tmp_path / "dead").mkdir()
    (tmp_path / "dead/2026-11-20T000000.0-aa.jsonl").write_text(json.dumps(old) + "\n")
    table = Table()
    open_log(tmp_path, table, metrics).flush()

    (row,) = table.rows
    assert (row["request_id"], row["partition"]) == ("r1", "2026-11-20")
    answer = {"label": "tech", "score": 0.75, "scores": {"sports": 0.25, "tech": 0.75}}
    assert json.loads(str(row["answer"])) == answer


def test_a_batch_is_of_one_day(tmp_path: Path, metrics: ServerMetrics) -> None:
    table = Table()
    log = open_log(tmp_path, table, metrics)
    log.record(answered(1, at=datetime(2026, 11, 20, 23, 59, 59, tzinfo=UTC)))
    log.record(answered(2, at=datetime(2026, 11, 21, 0, 0, 1, tzinfo=UTC)))
    log.flush()

    assert sorted(batch["partition"].unique().to_pylist() for batch in table.batches.values()) == [
        ["2026-11-20"],
        ["2026-11-21"],
    ]


def test_full_batches_go_at_once_and_a_part_after_a_while(tmp_path: Path, metrics: ServerMetrics) -> None:
    table = Table()
    log = open_log(tmp_path, table, metrics, rows=10)
    log.start()
    for number in range(25):
        log.record(answered(number))
    log.stop(5)

    assert sorted(str(row["request_id"]) for row in table.rows) == sorted(f"r{n}" for n in range(25))
    assert value(metrics, "lakeloop_predictions_published_total", loop="news") == 25
    assert value(metrics, "lakeloop_predictions_backlog_rows", loop="news") == 0


def open_busy_log(
    folder: Path, table: Table, metrics: ServerMetrics, *, rows: int, flush_seconds: float
) -> PredictionLog:
    """A log that gets one more answer while each batch is published."""

    def busy(batch: pa.Table, batch_id: str) -> None:
        log.record(answered(table.calls))
        table.append_once(batch, batch_id)

    spool = Spool(folder, batch_rows=rows, backlog_bytes=1 << 20)
    log = PredictionLog(spool, busy, metrics.of_loop("news"), flush_seconds=flush_seconds)
    return log


def test_rows_that_come_during_a_flush_wait_for_the_next_one(tmp_path: Path, metrics: ServerMetrics) -> None:
    table = Table()
    log = open_busy_log(tmp_path, table, metrics, rows=100, flush_seconds=1)
    log.record(answered(0))
    log.flush()

    assert table.calls == 1


def test_only_a_full_batch_is_published_before_its_time(tmp_path: Path, metrics: ServerMetrics) -> None:
    table = Table()
    log = open_busy_log(tmp_path, table, metrics, rows=5, flush_seconds=60)
    log.start()
    for number in range(5):
        log.record(answered(number))
    until(lambda: table.calls >= 2)
    time.sleep(0.2)

    # The full one, and what came while it was published; what came after that waits for its minute.
    assert table.calls == 2
    log.stop(5)
    assert value(metrics, "lakeloop_predictions_backlog_rows", loop="news") == 1


def test_two_threads_that_flush_at_once_publish_each_batch_once(
    tmp_path: Path, metrics: ServerMetrics
) -> None:
    table = Table()
    begun, go_on = threading.Event(), threading.Event()

    def slow(rows: pa.Table, batch_id: str) -> None:
        begun.set()
        go_on.wait(10)
        table.append_once(rows, batch_id)

    spool = Spool(tmp_path, batch_rows=1, backlog_bytes=1 << 20)
    log = PredictionLog(spool, slow, metrics.of_loop("news"), flush_seconds=60)
    log.record(answered(0))
    log.record(answered(1))
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(log.flush)
        begun.wait(10)
        second = pool.submit(log.flush)
        wait([second], timeout=0.1)
        go_on.set()
        first.result(10)
        second.result(10)

    assert (table.calls, len(table.rows)) == (2, 2)
    assert value(metrics, "lakeloop_predictions_published_total", loop="news") == 2


def test_while_the_lake_is_away_rows_wait_and_then_all_arrive(tmp_path: Path, metrics: ServerMetrics) -> None:
    table = Table()
    table.failure = OSError("no route to host")
    log = open_log(tmp_path, table, metrics, rows=2)
    for number in range(5):
        log.record(answered(number))
    with pytest.raises(OSError, match="no route"):
        log.flush()
    assert value(metrics, "lakeloop_predictions_backlog_rows", loop="news") == 5

    table.failure = None
    log.flush()

    assert [row["request_id"] for row in table.rows] == [f"r{n}" for n in range(5)]


def test_a_full_backlog_keeps_the_oldest_and_counts_the_rest(tmp_path: Path, metrics: ServerMetrics) -> None:
    table = Table()
    log = open_log(tmp_path, table, metrics, rows=10, backlog=2000)
    for number in range(100):
        log.record(answered(number, texts=2))
    log.flush()

    kept = len(table.rows)
    assert 0 < kept < 200
    assert [row["request_id"] for row in table.rows] == [f"r{n}" for n in range(kept // 2) for _ in "ab"]
    assert value(metrics, "lakeloop_predictions_dropped_total", loop="news") == 200 - kept


def test_a_disk_that_is_full_loses_the_row_and_nothing_else(
    tmp_path: Path, metrics: ServerMetrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = Table()
    spool = Spool(tmp_path, batch_rows=100, backlog_bytes=1 << 20)
    log = PredictionLog(spool, table.append_once, metrics.of_loop("news"), flush_seconds=1)
    log.record(answered(1))
    assert spool._open is not None
    real = spool._open._write

    def half(data: bytes) -> None:
        real(data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(spool._open, "_write", half)
    log.record(answered(2))
    monkeypatch.undo()
    log.record(answered(3))
    log.flush()

    assert [row["request_id"] for row in table.rows] == ["r1", "r3"]
    assert value(metrics, "lakeloop_predictions_dropped_total", loop="news") == 1


def test_a_batch_that_the_lake_refuses_is_put_aside_and_does_not_block_the_next(
    tmp_path: Path, metrics: ServerMetrics
) -> None:
    table = Table()
    log = open_log(tmp_path, table, metrics)
    log.record(answered(1))
    table.failure = DataError("other columns than the table has")
    log.flush()
    table.failure = None
    log.record(answered(2))
    log.flush()

    assert [row["request_id"] for row in table.rows] == ["r2"]
    assert len(list((tmp_path / "rejected").iterdir())) == 1


def test_a_batch_whose_file_is_gone_is_counted_and_does_not_block_the_next(
    tmp_path: Path, metrics: ServerMetrics
) -> None:
    table = Table()
    log = open_log(tmp_path, table, metrics, rows=2)
    for number in range(4):
        log.record(answered(number))
    min(tmp_path.glob("*/*.jsonl")).unlink()
    log.flush()

    assert [row["request_id"] for row in table.rows] == ["r2", "r3"]
    assert value(metrics, "lakeloop_predictions_dropped_total", loop="news") == 2
    assert value(metrics, "lakeloop_predictions_backlog_rows", loop="news") == 0


@pytest.mark.parametrize(
    "line",
    [
        b"5",
        b'{"request_id": 3}',
        b'{"answer": 5}',
        b'{"label": "tech", "score": "high"}',
        b'{"text": "\\ud800"}',
        b"\xff",
    ],
)
def test_a_batch_of_lines_that_are_no_predictions_is_put_aside(
    tmp_path: Path, metrics: ServerMetrics, line: bytes
) -> None:
    (tmp_path / "dead").mkdir()
    (tmp_path / "dead/2026-11-20T000000.0-aa.jsonl").write_bytes(line + b"\n")
    table = Table()
    log = open_log(tmp_path, table, metrics)
    log.record(answered(1))
    log.flush()

    assert [row["request_id"] for row in table.rows if row["request_id"]] == ["r1"]
    assert value(metrics, "lakeloop_predictions_backlog_rows", loop="news") == 0


def test_a_spool_is_left_alone_while_its_process_lives_and_adopted_when_it_died(
    tmp_path: Path, metrics: ServerMetrics
) -> None:
    script = textwrap.dedent(
        """
        import sys, time
        from datetime import date
        from pathlib import Path
        from lakeloop.serving.log.spool import Spool
        row = dict(request_id="r", predicted_at=1, model_version="v1", text_sha256="", text="t",
                   answer="{}", latency_ms=1.0)
        spool = Spool(Path(sys.argv[1]), batch_rows=4, backlog_bytes=1 << 20)
        for number in range(10):
            spool.append(date(2026, 11, 20), [row | {"request_id": f"r{number}"}])
        print("ready", flush=True)
        time.sleep(60)
        """
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        table = Table()
        open_log(tmp_path, table, metrics).flush()
        assert table.rows == []
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    (torn,) = [path for path in tmp_path.glob("*/*.jsonl") if path.read_bytes().count(b"\n") == 2]
    with torn.open("ab") as file:
        file.write(b'{"request_id": "r10", "te')

    replay = open_log(tmp_path, table, metrics)
    replay.start()
    replay.stop(5)

    assert sorted(str(row["request_id"]) for row in table.rows) == sorted(f"r{n}" for n in range(10))
    assert list(tmp_path.glob("*/*.jsonl")) == []


def test_a_batch_that_was_published_just_before_a_kill_is_not_doubled_in_the_lake(
    tmp_path: Path, metrics: ServerMetrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = open_project(tmp_path / "project").lake

    def publish(rows: pa.Table, batch_id: str) -> None:
        lake.append_once("predictions", rows, batch_id=batch_id)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    spool = Spool(tmp_path / "spool", batch_rows=100, backlog_bytes=1 << 20)
    log = PredictionLog(spool, publish, metrics.of_loop("news"), flush_seconds=1)
    log.record(answered(1, texts=3))
    with monkeypatch.context() as patch:
        patch.setattr(Spool, "remove", die)
        with pytest.raises(KeyboardInterrupt):
            log.flush()
    spool.close()

    again = Spool(tmp_path / "spool", batch_rows=100, backlog_bytes=1 << 20)
    assert again.rows == 3
    PredictionLog(again, publish, metrics.of_loop("news"), flush_seconds=1).flush()

    assert again.rows == 0
    assert lake.read("predictions").num_rows == 3
