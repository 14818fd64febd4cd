"""What runs and what failed is read from the journals of a home."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lakeloop.errors import DataError, TooEarlyError
from lakeloop.tracking.activity import Activity, activities_of
from lakeloop.tracking.journal import JournalIdentity, JournalTracker

DAY = "2026-11-20"


def journal(journals: Path, stage: str, run: str) -> JournalTracker:
    identity = JournalIdentity("news", stage, DAY, run)
    return JournalTracker(identity.path(journals), identity)


def fail(journals: Path, run: str, error: BaseException) -> None:
    with pytest.raises(type(error)), journal(journals, "validate", run):
        raise error


def end_well(journals: Path, run: str) -> None:
    with journal(journals, "validate", run):
        pass


def seen(journals: Path) -> list[tuple[str, str, str, str]]:
    return [
        (found.stage, found.partition, found.state, found.reason) for found in activities_of(journals, "news")
    ]


def test_without_journals_nothing_runs_and_nothing_failed(tmp_path: Path) -> None:
    assert activities_of(tmp_path / "nothing", "news") == []


def test_a_stage_runs_while_its_journal_is_open(tmp_path: Path) -> None:
    with journal(tmp_path, "train-baseline", "first"):
        assert seen(tmp_path) == [("train-baseline", DAY, "running", "")]
        assert activities_of(tmp_path, "another") == []
    assert seen(tmp_path) == []


def test_a_failure_says_why_until_a_later_try_ends_well(tmp_path: Path) -> None:
    fail(tmp_path, "first", DataError("two checks failed", found="12 rows"))
    assert seen(tmp_path) == [("validate", DAY, "failed", "two checks failed\n  found: 12 rows")]
    with journal(tmp_path, "validate", "second"):
        assert [state for _, _, state, _ in seen(tmp_path)] == ["running"]
    assert seen(tmp_path) == []


def test_an_interrupt_and_a_journal_of_before_have_no_reason(tmp_path: Path) -> None:
    fail(tmp_path, "first", KeyboardInterrupt())
    assert seen(tmp_path) == [("validate", DAY, "failed", "its log says why")]


def test_a_process_that_was_killed_has_failed(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from lakeloop.tracking.journal import *;"
        f"i = JournalIdentity('news', 'train-finetune-job', {DAY!r}, 'try-1');"
        "t = JournalTracker(i.path(Path(sys.argv[1])), i); print('open', flush=True); input()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    (found,) = activities_of(tmp_path, "news")
    assert found == Activity(
        "train-finetune-job", DAY, "failed", found.at, "its process was killed, or the machine stopped"
    )


def test_what_was_asked_for_before_its_time_neither_fails_nor_mends(tmp_path: Path) -> None:
    early = TooEarlyError("2026-11-20 was not transformed")
    fail(tmp_path, "first", early)
    assert seen(tmp_path) == []
    fail(tmp_path, "second", DataError("two checks failed"))
    fail(tmp_path, "third", early)
    assert seen(tmp_path) == [("validate", DAY, "failed", "two checks failed")]
