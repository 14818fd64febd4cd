"""The process that watches one job: `python -m lakeloop.jobs.runner WORKDIR`.

It leaves its parent, takes the lock of the folder, starts the job, writes a heartbeat and at last how the job
ended. Deciding whether a job is needed is `client`.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tenacity import before_sleep_log, retry, retry_if_exception_type, stop_after_delay, wait_fixed

from lakeloop.errors import EXIT_CONFIGURATION, EXIT_DONE, EXIT_TRANSIENT, ConfigurationError
from lakeloop.jobs.admission import Admission
from lakeloop.jobs.pulse import Watcher
from lakeloop.jobs.state import (
    HEARTBEAT_SECONDS,
    JobRecord,
    JobSpec,
    ProcessIdentity,
    Workdir,
    worker_environment,
)
from lakeloop.jobs.waiting import wait_for_devices
from lakeloop.locks import take
from lakeloop.records import now
from lakeloop.temporary import Own, for_children

log = logging.getLogger(__name__)

GRACE_SECONDS = 10.0
"""Between asking a job to end and ending it."""
_LOCK_SECONDS = 10.0
_RECORD_SECONDS = 300.0
"""How long it is tried to write the end of a job: without that record, hours of work count as lost."""
_STACKS_SECONDS = 0.5
_PR_SET_PDEATHSIG = 1


class StopJobError(Exception):
    """The job is to end now; the message says why."""

    exit_code: int | None = None
    """What its end means to who waits for it, where the job's own code does not say it."""


def main() -> None:
    """Run the job of the folder named on the command line; exit code 1 when its lock is held."""
    workdir = Workdir(Path(sys.argv[1]))
    # The submitter waits for this process, so that no zombie is left. The forked child is no child of the
    # submitter: what ends the submitter with all its children does not end the job.
    if os.fork() > 0:
        os._exit(0)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    descriptor = _lock(workdir.run_lock)
    if descriptor is None:
        log.error("another runner or its job is alive in %s", workdir.path)
        sys.exit(1)
    with for_children() as own:
        run(workdir, descriptor, own)


def run(workdir: Workdir, lock: int, own: Own) -> None:
    """Run the job of `workdir` to its end; it inherits `lock`, a locked descriptor, and what is its `own`."""
    spec = JobSpec.model_validate_json(workdir.spec.read_bytes())
    if (admission := _admit(spec, workdir)) is None:
        return
    record = JobRecord(state="running", fingerprint=spec.fingerprint, runner=ProcessIdentity.of(os.getpid()))
    with workdir.log.open("ab") as output:
        child = subprocess.Popen(
            _command(spec, workdir.config),
            cwd=spec.root,
            env={
                **os.environ,
                **worker_environment(spec.threads),
                **admission.environment,
                **own.environment,
            },
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=[lock, *admission.descriptors, *own.descriptors],
            process_group=0,
            preexec_fn=_die_with_parent(),  # noqa: PLW1509 - the runner has one thread
        )
    record = record.model_copy(update={"process": ProcessIdentity.of(child.pid)})
    reason = ""
    try:
        signal.signal(signal.SIGTERM, _raise_stop)
        _watch(child, workdir, record, spec.time_limit_seconds)
        code = child.returncode
    except StopJobError as stop:
        reason = str(stop)
        _end(child)
        code = child.returncode if stop.exit_code is None else stop.exit_code
    if code == EXIT_DONE and not workdir.result.is_file():
        code, reason = 1, f"it ended well without writing {workdir.result.name}"
    state = "succeeded" if code == EXIT_DONE and not reason else "failed"
    end = {"state": state, "exit_code": code, "reason": reason, "heartbeat": now()}
    _write_end(workdir, record.model_copy(update=end))
    log.info("%s %s: exit code %d %s", spec.job, state, code, reason)


def _admit(spec: JobSpec, workdir: Workdir) -> Admission | None:
    """Wait until the job may begin; None when it never will, which its record then says."""
    if spec.need is None:
        return Admission({})
    record = JobRecord(state="waiting", fingerprint=spec.fingerprint, runner=ProcessIdentity.of(os.getpid()))
    signal.signal(signal.SIGTERM, _raise_stop)
    try:
        return wait_for_devices(spec.need, workdir, record)
    except ConfigurationError as error:
        code, reason = error.exit_code, "; ".join(line.strip() for line in str(error).splitlines())
    except StopJobError as stop:
        code, reason = EXIT_TRANSIENT, str(stop)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _write_end(workdir, record.model_copy(update={"state": "failed", "exit_code": code, "reason": reason}))
    log.info("%s never began: %s", spec.job, reason)
    return None


def _command(spec: JobSpec, config: Path) -> list[str]:
    """What is started: the job's module, or the launcher that starts the module in several processes."""
    launcher = []
    if spec.launcher == "torchrun":
        launcher = ["lakeloop.jobs.torchrun", "--processes", str(spec.processes or 0)]
    return [sys.executable, "-m", *launcher, spec.job, "--config", str(config)]


class OutOfTimeError(StopJobError):
    """The job is over its time limit."""

    exit_code = EXIT_CONFIGURATION


class HangError(StopJobError):
    """The job has given no sign of life for longer than it said."""

    exit_code = EXIT_TRANSIENT


def _watch(
    child: subprocess.Popen[bytes], workdir: Workdir, record: JobRecord, limit_seconds: float | None
) -> None:
    began, watcher = time.monotonic(), Watcher(workdir.pulse)
    while True:
        _beat(workdir, record)
        try:
            child.wait(timeout=HEARTBEAT_SECONDS)
        except subprocess.TimeoutExpired:
            if limit_seconds is not None and time.monotonic() - began > limit_seconds:
                raise OutOfTimeError(f"it took longer than its limit of {limit_seconds:g} s") from None
            if silent := watcher.silent_seconds():
                _ask_where(child)
                raise HangError(f"it hung: no step for {silent:.0f} s; its log says where") from None
        else:
            return


def _ask_where(child: subprocess.Popen[bytes]) -> None:
    """Have a job that gives signs of life write the stacks of its threads into its log."""
    with suppress(ProcessLookupError):
        child.send_signal(signal.SIGUSR1)
        time.sleep(_STACKS_SECONDS)


def _beat(workdir: Workdir, record: JobRecord) -> None:
    try:
        workdir.write_record(record.model_copy(update={"heartbeat": now()}))
    except OSError:  # a disk that is full for a moment is no reason to end the job
        log.warning("the heartbeat could not be written", exc_info=True)


@retry(
    retry=retry_if_exception_type(OSError),
    stop=stop_after_delay(_RECORD_SECONDS),
    wait=wait_fixed(0.5),
    before_sleep=before_sleep_log(log, logging.WARNING),
    reraise=True,
)
def _write_end(workdir: Workdir, record: JobRecord) -> None:
    workdir.write_record(record)


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the job and all it started: politely, then surely."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for wish in (signal.SIGTERM, signal.SIGKILL):
        if child.poll() is None:
            os.killpg(child.pid, wish)
            try:
                child.wait(timeout=GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                continue


def _raise_stop(_number: int, _frame: object) -> None:
    raise StopJobError("it was cancelled")


def _lock(path: Path) -> int | None:
    """A descriptor with an exclusive lock on `path`; None when another process holds the lock."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    if take(descriptor, seconds=_LOCK_SECONDS):
        return descriptor
    os.close(descriptor)
    return None


def _die_with_parent() -> Callable[[], None] | None:
    """A function for the job's process: the kernel then ends it when the runner dies. None but on Linux."""
    if not sys.platform.startswith("linux"):
        return None
    libc, runner = ctypes.CDLL(None, use_errno=True), os.getpid()

    def prepare() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != runner:  # the runner died before the line above
            os._exit(1)

    return prepare


if __name__ == "__main__":
    main()
