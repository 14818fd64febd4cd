"""A journal keeps what it was told: through torn lines, kills, a second opening and a second writer."""

from __future__ import annotations

import json
import math
import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from lakeloop.errors import DataError, FenceError
from lakeloop.tracking.journal import (
    JournalIdentity,
    JournalReader,
    JournalTracker,
    has_writer,
    read_journal,
)

IDENTITY = JournalIdentity(loop="news", stage="train", partition="2026-11-20", run="run#1")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return IDENTITY.path(tmp_path)


def test_everything_said_is_read_back_in_order(path: Path, tmp_path: Path) -> None:
    artifact = tmp_path / "model.bin"
    artifact.write_bytes(b"12345")
    with JournalTracker(path, IDENTITY) as tracker:
        tracker.config({"method": "lora"})
        tracker.log({"loss": 0.5}, step=10)
        tracker.log({"loss": math.nan})
        tracker.table("worst", ["text", "score"], [("ä\n", 0.1)])
        tracker.artifact("model", "model", artifact, {"digest": "abc"})
        tracker.summary({"macro_f1": 0.97})
    entries = read_journal(path)
    assert [entry.kind for entry in entries] == [
        "open", "config", "log", "log", "table", "artifact", "summary", "close",
    ]  # fmt: skip
    assert entries[0].data == {"loop": "news", "stage": "train", "partition": "2026-11-20", "run": "run#1"}
    assert entries[2].data == {"step": 10, "metrics": {"loss": 0.5}}
    assert entries[3].data == {"step": None, "metrics": {"loss": "NaN"}}
    assert entries[4].data == {"name": "worst", "columns": ["text", "score"], "rows": [["ä\n", 0.1]]}
    assert entries[5].data["path"] == str(artifact)
    assert entries[5].data["footprint"]["bytes"] == 5
    assert entries[7].data == {"exit_code": 0}
    assert [entry.time for entry in entries] == sorted(entry.time for entry in entries)


def test_an_exception_closes_with_exit_code_1(path: Path) -> None:
    with pytest.raises(RuntimeError), JournalTracker(path, IDENTITY):
        raise RuntimeError
    assert read_journal(path)[-1].data == {"exit_code": 1}


def test_closing_twice_writes_one_line_and_later_words_are_refused(path: Path) -> None:
    tracker = JournalTracker(path, IDENTITY)
    tracker.close()
    tracker.close(1)
    assert [entry.kind for entry in read_journal(path)] == ["open", "close"]
    with pytest.raises(ValueError, match="closed"):
        tracker.log({"loss": 1.0})


def test_a_full_disk_loses_the_line_and_nothing_else(path: Path) -> None:
    with JournalTracker(path, IDENTITY) as tracker:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        # Takes a part of the next line, as a disk does that is full.
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 20, hard))
        try:
            with pytest.raises(OSError, match="too large"):
                tracker.log({"loss": 0.5})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        tracker.log({"loss": 0.25})

    entries = read_journal(path)
    assert [entry.kind for entry in entries] == ["open", "log", "close"]
    assert entries[1].data["metrics"] == {"loss": 0.25}


@pytest.mark.parametrize("torn", [b'{"kind": "log", "ti', b"{", b"\x00" * 70_000])
def test_a_torn_last_line_is_left_out_and_then_written_over(path: Path, torn: bytes) -> None:
    JournalTracker(path, IDENTITY).close()
    with path.open("ab") as file:
        file.write(torn)
    assert [entry.kind for entry in read_journal(path)] == ["open", "close"]
    JournalTracker(path, IDENTITY).close()
    assert [entry.kind for entry in read_journal(path)] == ["open", "close", "open", "close"]


@pytest.mark.parametrize("line", [b"garbage\n", b"[]\n", b'{"kind":"nope","time":1,"data":{}}\n', b"\xff\n"])
def test_a_spoiled_line_is_an_error_that_says_where(path: Path, line: bytes) -> None:
    JournalTracker(path, IDENTITY).close()
    with path.open("ab") as file:
        file.write(line)
    with pytest.raises(DataError, match=rf"{path.name}:3: not a journal entry"):
        read_journal(path)


def test_a_reader_follows_a_writer_by_whole_lines(path: Path) -> None:
    with JournalTracker(path, IDENTITY) as tracker:
        reader = JournalReader(path)
        assert [entry.kind for entry in reader.advance()] == ["open"]
        assert reader.advance() == []
        tracker.log({"loss": 1.0})
        assert [entry.kind for entry in reader.advance()] == ["log"]
    assert [entry.kind for entry in reader.advance()] == ["close"]


def test_only_one_process_writes_a_journal(path: Path) -> None:
    tracker = JournalTracker(path, IDENTITY)
    assert has_writer(path)
    with pytest.raises(FenceError, match="another process is writing"):
        JournalTracker(path, IDENTITY)
    tracker.close()
    assert not has_writer(path)
    assert [entry.kind for entry in read_journal(path)] == ["open", "close"]


def test_threads_do_not_tear_each_others_lines(path: Path) -> None:
    def talk() -> None:
        for number in range(100):
            tracker.log({"x": float(number)})

    with JournalTracker(path, IDENTITY) as tracker:
        threads = [threading.Thread(target=talk) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(read_journal(path)) == 402


_ENDLESS = """
import sys
from pathlib import Path
from lakeloop.tracking.journal import JournalIdentity, JournalTracker
tracker = JournalTracker(Path(sys.argv[1]), JournalIdentity("news", "train", "2026-11-20", "run#1"))
step = 0
while True:
    tracker.log({"loss": 1 / (step + 1)}, step)
    step += 1
    if step % 100 == 0:
        tracker.summary({"steps": step})
        sys.stdout.write(f"{step}\\n")
        sys.stdout.flush()
"""


def test_kill_9_loses_nothing_that_was_acknowledged(path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", _ENDLESS, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(5):
        acknowledged = int(process.stdout.readline())
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    acknowledged = max([acknowledged, *map(int, process.stdout.read().split())])
    process.stdout.close()
    assert not has_writer(path)
    steps = [entry.data["step"] for entry in read_journal(path) if entry.kind == "log"]
    assert steps == list(range(len(steps)))
    assert len(steps) >= acknowledged >= 500


def test_a_secret_is_never_written(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "0123456789abcdef")
    with JournalTracker(path, IDENTITY) as tracker:
        tracker.config({"storage": {"account_key": "topsecret1"}, "argv": ["--key=0123456789abcdef"]})
        tracker.table("t", ["note"], [["0123456789abcdef"]])
        tracker.summary({"why": "0123456789abcdef"})
    text = path.read_text()
    assert "0123456789abcdef" not in text
    assert "topsecret1" not in text


def test_run_ids_of_airflow_become_distinct_file_names(tmp_path: Path) -> None:
    runs = ["scheduled__2026-11-20T02:00:00+00:00#1", "scheduled__2026-11-20T02:00:00 00:00#1", "plain"]
    names = [JournalIdentity("news", "ingest", "2026-11-20", run).path(tmp_path).name for run in runs]
    assert len(set(names)) == 3
    assert names[2] == "plain.jsonl"
    assert not any(set(name) & set(":+# /") for name in names)


def test_each_line_is_json_for_other_readers_too(path: Path) -> None:
    with JournalTracker(path, IDENTITY) as tracker:
        tracker.log({"loss": math.inf})
    for line in path.read_text().splitlines():
        json.loads(line, parse_constant=pytest.fail)
