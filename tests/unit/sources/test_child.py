"""Files that could harm are read by a child: whatever becomes of it is an error with a reason."""

from __future__ import annotations

import gzip
import os
import signal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakeloop.durable import sha256_file
from lakeloop.errors import DataError
from lakeloop.sources import child
from lakeloop.sources.child import ChildLimits
from lakeloop.sources.delivery import FileDelivery
from lakeloop.sources.packed import Limits
from tests.support.small_loop import small_loop

LINE = b'{"id": "k%d", "text": "words", "label": "tech"}\n'


def delivery(path: Path, source: Any = None, **limits: Any) -> FileDelivery:
    source = source or small_loop().source
    return FileDelivery(path, sha256_file(path), "drop", source, Limits(), ChildLimits(**limits))


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    path = tmp_path / "drop"
    path.write_bytes(gzip.compress(b"".join(LINE % n for n in range(100_000)) + b"\n" * 20_000, 1))
    return path


def processes(monkeypatch: pytest.MonkeyPatch) -> list[child._Reader]:
    """The children that are started from here on."""
    started: list[child._Reader] = []
    start = child._Reader.__init__

    def noted(self: child._Reader) -> None:
        start(self)
        started.append(self)

    child._end_idle()
    monkeypatch.setattr(child._Reader, "__init__", noted)
    return started


def test_a_file_that_is_packed_is_read_by_a_child_and_the_next_by_the_same_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = processes(monkeypatch)
    for number in range(3):
        path = tmp_path / str(number)
        path.write_bytes(gzip.compress(LINE % number + b"bad\n"))
        found = delivery(path)
        (block,) = found.blocks()
        found.require_unchanged()
        assert (block.rows["id"].to_pylist(), block.read) == ([f"k{number}"], 2)
        assert (block.rejects[0].raw, block.rejects[0].line) == ("bad", 2)
    path.write_bytes(b"\x1f\x8b damaged")
    with pytest.raises(DataError, match="cannot be unpacked"):
        list(delivery(path).blocks())
    assert len(started) == 1


def test_a_child_that_goes_while_it_is_asked_is_followed_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = processes(monkeypatch)
    small = tmp_path / "drop"
    small.write_bytes(gzip.compress(LINE % 1))
    wanted = [block.rows for block in delivery(small).blocks()]
    (waiting,) = started
    # As after a long wait: it ends by itself, and looks alive.
    nobody, elsewhere = os.pipe()
    stdin = waiting._process.stdin
    assert stdin is not None
    os.dup2(elsewhere, stdin.fileno())
    assert waiting._process.wait() == 0
    monkeypatch.setattr(child._Reader, "alive", True)
    assert [block.rows for block in delivery(small).blocks()] == wanted
    assert len(started) == 2
    os.close(nobody)
    os.close(elsewhere)


def test_a_plain_file_needs_no_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = processes(monkeypatch)
    (tmp_path / "drop").write_bytes(LINE % 1)
    assert [block.read for block in delivery(tmp_path / "drop").blocks()] == [1]
    assert started == []


def test_a_child_that_crashes_is_a_reason(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = processes(monkeypatch)
    for how in (signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT):
        blocks = delivery(packed).blocks()
        next(blocks)
        os.kill(started[-1]._process.pid, how)
        with pytest.raises(DataError, match="did not come to its end") as caught:
            list(blocks)
        assert f"it was ended by {how.name}" in caught.value.found
    assert sum(block.read for block in delivery(packed).blocks()) == 120_000
    assert len(started) == 4


def test_a_child_that_does_not_answer_is_ended(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = processes(monkeypatch)
    with pytest.raises(DataError) as caught:
        list(delivery(packed, seconds=0.001).blocks())
    assert caught.value.found == "no answer for 0.001 seconds"
    assert not started[0].alive


def test_a_child_that_computes_for_too_long_is_ended(packed: Path) -> None:
    packed.write_bytes(gzip.compress(b"\n" * 1_000_000, 1))
    with pytest.raises(DataError) as caught:
        list(delivery(packed, cpu_seconds=0).blocks())
    assert "it was ended by SIGXCPU" in caught.value.found


def test_a_file_that_needs_too_much_memory_is_a_reason(tmp_path: Path) -> None:
    path = tmp_path / "drop"
    source = small_loop(source={**small_loop().source.model_dump(), "format": "parquet"}).source
    cell = "x" * (100 << 20)
    pq.write_table(pa.table({"id": ["a", "b"], "text": ["words", cell], "label": ["tech", "tech"]}), path)
    with pytest.raises(DataError):
        list(delivery(path, source, memory=40 << 20).blocks())
    blocks = list(delivery(path, source).blocks())
    assert [len(reject.raw) for block in blocks for reject in block.rejects] == [1 << 20]
    assert [key for block in blocks for key in block.rows["id"].to_pylist()] == ["a"]


def test_a_child_is_ended_when_nobody_takes_the_rest(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = processes(monkeypatch)
    blocks = delivery(packed).blocks()
    next(blocks)
    blocks.close()
    assert not started[0].alive


def test_a_file_that_went_away_is_an_error_of_the_disk(packed: Path) -> None:
    found = delivery(packed)
    packed.unlink()
    with pytest.raises(FileNotFoundError):
        list(found.blocks())


def test_a_child_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = child._Reader()
    assert reader._process.stdin
    reader._process.stdin.close()
    assert reader._process.wait(timeout=30) == 0
    reader.end()
