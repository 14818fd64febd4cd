from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from lakeloop.jobs.leftovers import remove_checkpoints
from lakeloop.jobs.state import Workdir
from lakeloop.locks import locked

WEEK = timedelta(days=7)


@pytest.fixture
def leave(tmp_path: Path) -> Callable[[str, int], Workdir]:
    """`leave("day/job-1", 8)` makes the folder of an ended job whose checkpoints are eight days old."""

    def make(name: str, days: int) -> Workdir:
        workdir = Workdir(tmp_path / name)
        workdir.checkpoints.mkdir(parents=True)
        (workdir.checkpoints / "state").write_text("of the work")
        workdir.log.write_text("of a person")
        then = time.time() - days * 24 * 3600
        os.utime(workdir.checkpoints, (then, then))
        return workdir

    return make


def test_what_nobody_went_on_with_goes_and_the_log_stays(
    leave: Callable[[str, int], Workdir], tmp_path: Path
) -> None:
    old, young = leave("train-finetune/2026-11-18/job-1", 8), leave("train-finetune/2026-11-19/job-2", 6)
    assert remove_checkpoints(tmp_path, WEEK) == [old.checkpoints]
    assert not old.checkpoints.exists()
    assert old.log.exists()
    assert young.checkpoints.exists()
    assert remove_checkpoints(tmp_path, WEEK) == []


@pytest.mark.parametrize("lock", ["run_lock", "submit_lock"])
def test_a_job_that_runs_or_is_submitted_keeps_its_own(
    leave: Callable[[str, int], Workdir], tmp_path: Path, lock: str
) -> None:
    workdir = leave("job-1", 8)
    with locked(getattr(workdir, lock)):
        assert remove_checkpoints(tmp_path, WEEK) == []
    assert workdir.checkpoints.exists()


def test_without_any_work_there_is_nothing_to_remove(tmp_path: Path) -> None:
    assert remove_checkpoints(tmp_path / "nowhere", WEEK) == []
