from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from lakeloop.errors import ConfigurationError, DataError, JobError, TerminalError, TransientError
from lakeloop.jobs import JobSpec, cancel, result, status, submit, wait
from lakeloop.jobs.state import HEARTBEAT_SECONDS, JobRecord, ProcessIdentity, Workdir
from lakeloop.records import now
from tests.support.waiting import until

Order = Callable[..., JobSpec]
Starts = Callable[[], list[int]]


def record_of(job_id: str) -> JobRecord:
    record = Workdir(Path(job_id)).read_record()
    assert record is not None
    return record


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_job_runs_streams_its_log_and_leaves_a_result(order: Order) -> None:
    job_id = submit(order(lines=["one", "two"], threads=3))
    lines: list[str] = []

    ended = wait(job_id, on_line=lines.append)

    assert (ended.state, ended.exit_code) == ("succeeded", 0)
    assert lines == ["one", "two"]
    assert result(job_id) == {"OMP_NUM_THREADS": "3", "OMP_WAIT_POLICY": "PASSIVE", "HF_HUB_OFFLINE": "1"}


def test_a_second_submit_attaches_to_the_running_job_and_to_its_success(order: Order, starts: Starts) -> None:
    spec = order(seconds=1)
    first, second = submit(spec), submit(spec)
    wait(first)
    third = submit(spec)

    assert first == second == third
    assert status(third).state == "succeeded"
    assert len(starts()) == 1


def test_submits_at_the_same_moment_start_one_process(order: Order, starts: Starts) -> None:
    spec = order(seconds=0.5)
    with ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(submit, [spec] * 4))

    wait(ids[0])
    assert len(set(ids)) == 1
    assert len(starts()) == 1


def test_the_job_outlives_who_submitted_it(order: Order, starts: Starts, tmp_path: Path) -> None:
    spec = order(seconds=1)
    (tmp_path / "order.json").write_text(spec.model_dump_json())
    code = (
        "import os, signal, sys; from pathlib import Path; from lakeloop.jobs import *\n"
        "submit(JobSpec.model_validate_json(Path(sys.argv[1]).read_text()))\n"
        "os.killpg(0, signal.SIGKILL)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "order.json")], start_new_session=True, check=False
    )

    assert done.returncode == -signal.SIGKILL
    assert wait(str(spec.workdir)).state == "succeeded"
    assert len(starts()) == 1


def test_who_waits_may_be_killed_ten_times_while_the_job_works_once(
    order: Order, starts: Starts, tmp_path: Path
) -> None:
    enough = tmp_path / "enough"
    spec = order(until=str(enough))
    submit(spec)
    for _ in range(10):
        child = os.fork()
        if child == 0:
            try:
                wait(submit(spec))
            finally:
                os._exit(0)
        time.sleep(0.1)
        os.kill(child, signal.SIGKILL)
        assert os.WIFSIGNALED(os.waitpid(child, 0)[1])

    enough.touch()
    assert wait(submit(spec)).state == "succeeded"
    assert len(starts()) == 1


def test_the_runner_is_nobodys_child_and_leaves_no_zombie(order: Order) -> None:
    job_id = submit(order(seconds=0.5))
    runner = record_of(job_id).runner
    assert runner is not None
    assert runner.pid not in [child.pid for child in psutil.Process().children(recursive=True)]
    wait(job_id)
    until(lambda: gone(runner.pid))


@pytest.mark.parametrize(
    ("code", "error"), [(64, ConfigurationError), (65, DataError), (75, JobError), (1, JobError)]
)
def test_the_exit_code_decides_whether_a_retry_makes_sense(
    order: Order, code: int, error: type[Exception]
) -> None:
    job_id = submit(order(exit=code, lines=["12:00:00 ERROR no such label: x", "bye"]))
    with pytest.raises(error, match="no such label: x") as raised:
        wait(job_id)

    assert isinstance(raised.value, TerminalError) == (code in (64, 65))
    assert (status(job_id).state, status(job_id).exit_code) == ("failed", code)
    with pytest.raises(JobError, match="no result"):
        result(job_id)


def test_a_job_that_was_killed_is_worth_a_retry(order: Order) -> None:
    with pytest.raises(TransientError, match="SIGKILL"):
        wait(submit(order(signal=int(signal.SIGKILL))))


def test_success_without_a_result_is_a_failure(order: Order) -> None:
    with pytest.raises(JobError, match=r"without writing result\.json"):
        wait(submit(order(silent=True)))


def test_a_failed_job_starts_anew_on_a_clean_folder(order: Order, starts: Starts) -> None:
    spec = order(exit=75)
    job_id = submit(spec)
    with pytest.raises(JobError):
        wait(job_id)
    (spec.workdir / "inputs").mkdir()
    (spec.workdir / "inputs" / "rows").write_text("kept")
    (spec.workdir / "artifact" / "half").write_text("of an earlier try")

    with pytest.raises(JobError, match="exit code 75"):  # it would be 1 if the folder was not clean
        wait(submit(spec))

    assert len(starts()) == 2
    assert not (spec.workdir / "artifact" / "half").exists()
    assert (spec.workdir / "inputs" / "rows").read_text() == "kept"


def test_other_work_in_the_same_folder_is_refused_while_it_runs(order: Order) -> None:
    submit(order(seconds=20))
    with pytest.raises(JobError, match="other work is running"):
        submit(order(seconds=21))


def test_other_work_in_the_same_folder_replaces_what_has_ended(order: Order, starts: Starts) -> None:
    wait(submit(order(lines=["old"])))
    job_id = submit(order(lines=["new"]))
    lines: list[str] = []
    wait(job_id, on_line=lines.append)

    assert lines == ["new"]
    assert len(starts()) == 2


def test_a_killed_runner_takes_its_job_along_and_the_job_is_lost_and_starts_anew(
    order: Order, starts: Starts
) -> None:
    spec = order(seconds=1, stubborn=True)
    job_id = submit(spec)
    record = record_of(job_id)
    assert record.runner is not None
    assert record.process is not None
    until(lambda: bool(starts()))

    os.kill(record.runner.pid, signal.SIGKILL)
    until(lambda: status(job_id).state == "lost")
    if sys.platform.startswith("linux"):
        until(lambda: gone(starts()[0]))
    with pytest.raises(JobError):
        wait(job_id)

    assert wait(submit(spec)).state == "succeeded"
    assert len(starts()) == 2


def test_a_job_that_outlived_its_runner_is_ended_before_the_next_one_starts(order: Order) -> None:
    spec = order()
    workdir = Workdir(spec.workdir)
    spec.workdir.mkdir()
    dead = subprocess.Popen(["sleep", "0"])
    runner = ProcessIdentity.of(dead.pid)
    dead.wait()
    survivor = subprocess.Popen(["sleep", "60"], process_group=0)
    workdir.write_record(
        JobRecord(
            state="running",
            fingerprint=spec.fingerprint,
            runner=runner,
            process=ProcessIdentity.of(survivor.pid),
        )
    )

    assert status(str(spec.workdir)).state == "lost"
    job_id = submit(spec)

    assert gone(survivor.pid)
    survivor.wait(timeout=5)
    assert wait(job_id).state == "succeeded"


def test_a_number_that_now_belongs_to_another_process_is_not_the_runner(order: Order) -> None:
    spec = order()
    spec.workdir.mkdir()
    mine = ProcessIdentity.of(os.getpid())
    stale = mine.model_copy(update={"started": mine.started - 3600})
    Workdir(spec.workdir).write_record(
        JobRecord(state="running", fingerprint=spec.fingerprint, runner=stale, process=stale)
    )

    assert status(str(spec.workdir)).state == "lost"
    assert wait(submit(spec)).state == "succeeded"


def test_of_another_machine_only_the_heartbeat_is_known(tmp_path: Path) -> None:
    def state(age_seconds: float) -> str:
        record = JobRecord(
            state="running",
            fingerprint="f",
            host="elsewhere",
            runner=ProcessIdentity(pid=1, started=0.0),
            heartbeat=now() - timedelta(seconds=age_seconds),
        )
        Workdir(tmp_path).write_record(record)
        return status(str(tmp_path)).state

    assert state(5) == "running"
    assert state(120) == "lost"


def test_no_second_runner_gets_the_folder_while_the_job_lives(order: Order) -> None:
    spec = order(seconds=20)
    submit(spec)
    with Workdir(spec.workdir).run_lock.open() as lock, pytest.raises(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_job_over_its_time_limit_is_ended_and_not_worth_a_retry(order: Order, starts: Starts) -> None:
    job_id = submit(order(seconds=60, limit=0.5))
    with pytest.raises(ConfigurationError, match="longer than its limit"):
        wait(job_id)
    assert gone(starts()[0])


def test_a_cancelled_job_is_gone_with_its_runner(order: Order, starts: Starts) -> None:
    job_id = submit(order(seconds=60))
    until(lambda: bool(starts()))

    ended = cancel(job_id)

    assert (ended.state, ended.reason) == ("failed", "it was cancelled")
    assert gone(starts()[0])
    assert cancel(job_id) == ended


def test_a_disk_that_takes_no_record_for_a_while_ends_no_job(order: Order, starts: Starts) -> None:
    job_id = submit(order(seconds=1.5 * HEARTBEAT_SECONDS))
    runner, workdir = record_of(job_id).runner, Workdir(Path(job_id))
    assert runner is not None
    in_the_way = workdir.record.with_name(f".{workdir.record.name}.{runner.pid}.tmp")
    in_the_way.mkdir()
    until(lambda: bool(starts()) and gone(starts()[0]))
    until(workdir.result.exists)
    time.sleep(0.2)
    assert status(job_id).state == "running"
    in_the_way.rmdir()

    assert wait(job_id).state == "succeeded"
    assert "heartbeat could not be written" in workdir.runner_log.read_text()


def test_a_job_that_hangs_is_ended_and_its_log_says_where(order: Order, starts: Starts) -> None:
    job_id = submit(order(pulse="0.2", seconds=60))
    with pytest.raises(JobError, match=r"it hung: no step for \d+ s"):
        wait(job_id)

    assert (status(job_id).state, status(job_id).exit_code) == ("failed", TransientError.exit_code)
    assert gone(starts()[0])
    assert "Current thread" in Workdir(Path(job_id)).log.read_text()


def test_a_job_that_gives_no_sign_of_life_may_be_silent(order: Order) -> None:
    for pulse in ({}, {"pulse": "60"}):
        assert wait(submit(order(seconds=2 * HEARTBEAT_SECONDS, **pulse))).state == "succeeded"


def test_the_next_try_finds_the_checkpoints_and_the_account_of_the_one_before(order: Order) -> None:
    for code in (75, 75, None):
        job_id = submit(order(saves=True, exit=code))
        with suppress(JobError):
            wait(job_id)
    assert status(job_id).state == "succeeded"
    workdir = Workdir(Path(job_id))
    for folder in (workdir.checkpoints, workdir.spent):
        assert (folder / "tries").read_text() == "xxx"


def test_nothing_known_of_a_job_means_lost(tmp_path: Path) -> None:
    assert status(str(tmp_path / "nowhere")).state == "lost"
    (tmp_path / "job.json").write_text("{")
    assert status(str(tmp_path)).state == "lost"


def test_a_submit_that_died_before_its_runner_is_submitted_again(order: Order) -> None:
    spec = order()
    spec.workdir.mkdir()
    Workdir(spec.workdir).write_record(JobRecord(state="pending", fingerprint=spec.fingerprint))
    assert wait(submit(spec)).state == "succeeded"


def test_the_fingerprint_is_of_the_work_not_of_where_it_is_done(order: Order) -> None:
    work = order(seconds=1)
    assert order("elsewhere", threads=7, seconds=1).fingerprint == work.fingerprint
    assert order(seconds=2).fingerprint != work.fingerprint


def test_the_log_is_whole_when_it_ends_without_a_newline(order: Order) -> None:
    spec = order(lines=["first", "last\x00\xff"])
    lines: list[str] = []
    job_id = submit(spec)
    wait(job_id)
    log = Workdir(spec.workdir).log
    log.write_bytes(log.read_bytes().rstrip(b"\n"))
    wait(job_id, on_line=lines.append)
    assert lines == ["first", "last\x00ÿ"]


def test_a_module_name_cannot_smuggle_an_option(order: Order) -> None:
    data = json.loads(order().model_dump_json())
    with pytest.raises(ValueError, match="job"):
        JobSpec.model_validate({**data, "job": "-c import os"})
