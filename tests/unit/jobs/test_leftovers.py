"""Who takes a job's folder away holds the lock under which it is submitted, and leaves no half job."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from lakeloop.jobs.leftovers import is_held, last_used, left_alone, remove_job, reserve
from lakeloop.jobs.state import JobRecord, Workdir
from lakeloop.locks import locked


@pytest.fixture
def job(tmp_path: Path) -> Workdir:
    """An ended job with all that one has."""
    workdir = Workdir(tmp_path / "job-1")
    for folder in (workdir.inputs, workdir.spent, workdir.path / "artifact"):
        folder.mkdir(parents=True)
        (folder / "file").write_text("of the work")
    workdir.log.write_text("of a person")
    workdir.write_record(JobRecord(state="succeeded", fingerprint="f"))
    return workdir


def test_what_it_cost_stays_and_the_log_where_it_is_asked_for(job: Workdir) -> None:
    remove_job(job.path, log=True)
    assert sorted(path.name for path in job.path.iterdir()) == ["job.log", "spent"]
    remove_job(job.path)
    assert [path.name for path in job.path.iterdir()] == ["spent"]
    (job.spent / "file").unlink()
    job.spent.rmdir()
    remove_job(job.path)
    assert not job.path.exists()


def test_a_removal_that_is_ended_after_its_first_step_leaves_no_job(
    job: Workdir, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(_: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("lakeloop.jobs.leftovers.remove", killed)
    with pytest.raises(KeyboardInterrupt):
        remove_job(job.path)
    assert job.read_record() is None
    assert (job.inputs / "file").exists()


@pytest.mark.parametrize("lock", ["run_lock", "submit_lock"])
def test_a_job_that_runs_or_is_submitted_is_held(job: Workdir, lock: str) -> None:
    assert not is_held(job)
    assert not getattr(job, lock).exists()  # to ask makes no file
    with locked(getattr(job, lock)):
        assert is_held(job)
        with left_alone(job) as free:
            assert not free


def test_a_reserved_job_is_as_young_as_that(job: Workdir) -> None:
    old = time.time() - 1e6
    os.utime(job.log, (old, old))
    assert last_used(job, old) == old
    reserve(job)
    assert last_used(job, old) > time.time() - 60


def test_who_reserves_a_job_that_is_being_taken_away_gets_a_new_folder(job: Workdir) -> None:
    with left_alone(job) as free:
        assert free
        waiting = threading.Thread(target=reserve, args=(job,))
        waiting.start()
        time.sleep(0.1)
        remove_job(job.path)
        job.spent.rename(job.path.parent / "spent")
        remove_job(job.path)
        assert not job.path.exists()
    waiting.join(10)
    assert [path.name for path in job.path.iterdir()] == ["submit.lock"]
