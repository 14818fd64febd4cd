"""Submitting, watching and ending jobs. Any process on the machine may do so, at any time, more than once."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from lakeloop.durable import write_atomically
from lakeloop.errors import EXIT_CONFIGURATION, EXIT_DATA, ConfigurationError, DataError, JobError
from lakeloop.jobs.state import AT_WORK, JobRecord, JobSpec, JobStatus, Workdir
from lakeloop.locks import is_locked, locked

_POLL_SECONDS = 0.25
_START_SECONDS = 60.0
_END_SECONDS = 30.0


def submit(spec: JobSpec) -> str:
    """Start a job, or attach to it when it runs or has succeeded already. Returns its id: its folder's path.

    A job that failed or was lost is started again, after what is left of it was ended and cleared away; its
    checkpoints stay, and whether it goes on from them is the job's own business.

    Raises:
        JobError: other work is running in the same folder, a process of an earlier try cannot be ended, or
            the runner did not start.
    """
    spec = spec.model_copy(update={"workdir": spec.workdir.resolve(), "root": spec.root.resolve()})
    workdir = Workdir(spec.workdir)
    workdir.path.mkdir(parents=True, exist_ok=True)
    with locked(workdir.submit_lock):
        if not _attach(workdir, spec):
            _clear(workdir)
            _start(workdir, spec)
    return str(workdir.path)


def status(job_id: str) -> JobStatus:
    """How a job is: `lost` when its processes are gone before its end, or its folder tells nothing of it."""
    record = Workdir(Path(job_id)).read_record()
    if record is None or record.lost:
        return JobStatus("lost", reason="its processes are gone and left no result")
    return JobStatus(record.state, record.started_at, record.exit_code, record.reason)


def wait(
    job_id: str,
    on_line: Callable[[str], None] | None = None,
    meanwhile: Callable[[], None] | None = None,
) -> JobStatus:
    """Wait until a job has succeeded, and return its status; each line of its log goes to `on_line`.

    The log is told from its first line, also by a process that attached to the job later. `meanwhile` is
    called at each look, and once after the end.

    Raises:
        ConfigurationError: the job ended with exit code 64, or took longer than its limit.
        DataError: the job ended with exit code 65.
        JobError: the job ended otherwise without a result; another attempt may succeed.
    """
    workdir = Workdir(Path(job_id))
    lines = _Lines(workdir.log)
    while True:
        found = status(job_id)  # before the log is read, so that the last lines are not missed
        for line in lines.new(last=found.ended):
            if on_line is not None:
                on_line(line)
        if meanwhile is not None:
            meanwhile()
        if found.ended:
            break
        time.sleep(_POLL_SECONDS)
    if found.state != "succeeded":
        raise _failure(workdir, found)
    return found


def result(job_id: str) -> dict[str, Any]:
    """The content of result.json of a job that has succeeded.

    Raises:
        JobError: the job has not succeeded, or its result cannot be read.
    """
    workdir = Workdir(Path(job_id))
    found = status(job_id)
    if found.state != "succeeded":
        raise JobError("job has no result", where=job_id, found=f"state {found.state}", remedy="wait for it")
    try:
        return dict(json.loads(workdir.result.read_bytes()))
    except (OSError, ValueError) as error:
        raise JobError("result cannot be read", where=str(workdir.result), found=str(error)) from None


def cancel(job_id: str) -> JobStatus:
    """End a job and return how it ended; one that has ended already stays as it is.

    Raises:
        JobError: the job runs on another machine, or its process cannot be ended.
    """
    workdir = Workdir(Path(job_id))
    record = workdir.read_record()
    if record is not None and record.state in AT_WORK:
        if not record.local:
            raise JobError("job runs on another machine", where=job_id, found=record.host)
        if record.runner is not None and (runner := record.runner.find()) is not None:
            with suppress(psutil.NoSuchProcess):
                runner.send_signal(signal.SIGTERM)
                psutil.wait_procs([runner], timeout=_END_SECONDS)
        _end_survivors(record)
    return status(job_id)


def _attach(workdir: Workdir, spec: JobSpec) -> bool:
    record = workdir.read_record()
    if record is None or record.lost or record.state == "failed":
        return False
    if record.state == "pending" and not is_locked(workdir.run_lock):
        return False  # the process that submitted it died before the runner was there
    same = record.fingerprint == spec.fingerprint
    if record.state == "succeeded":
        return same and workdir.result.is_file()
    if not same:
        raise JobError(
            "other work is running in this folder",
            where=str(workdir.path),
            expected=f"fingerprint {spec.fingerprint[:12]}",
            found=f"fingerprint {record.fingerprint[:12]}",
            remedy="wait for it or cancel it; different work belongs into different folders",
        )
    return True


def _clear(workdir: Workdir) -> None:
    """Leave nothing of an earlier try but the inputs, the checkpoints, what it has cost and the locks."""
    if (record := workdir.read_record()) is not None:
        _end_survivors(record)
    keep = {workdir.inputs, workdir.checkpoints, workdir.spent, workdir.submit_lock, workdir.run_lock}
    for path in set(workdir.path.iterdir()) - keep:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _end_survivors(record: JobRecord) -> None:
    """End a job that outlived its runner, with all it started."""
    process = record.process.find() if record.local and record.process is not None else None
    if process is None:
        return
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    _, alive = psutil.wait_procs([process], timeout=_END_SECONDS)
    if alive:
        raise JobError("job cannot be ended", where=f"process {process.pid}", remedy="see what it hangs on")


def _start(workdir: Workdir, spec: JobSpec) -> None:
    write_atomically(workdir.config, json.dumps(spec.config, indent=2, sort_keys=True) + "\n")
    write_atomically(workdir.spec, spec.model_dump_json(indent=2) + "\n")
    workdir.write_record(JobRecord(state="pending", fingerprint=spec.fingerprint))
    argv = [sys.executable, "-m", "lakeloop.jobs.runner", str(workdir.path)]
    with workdir.runner_log.open("wb") as output:
        subprocess.run(
            argv,
            cwd=spec.root,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            check=False,
            timeout=_START_SECONDS,
        )
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        record = workdir.read_record()
        if record is not None and record.state != "pending":
            return
        time.sleep(0.02)
    raise JobError(
        "job did not start",
        where=str(workdir.path),
        found=workdir.runner_log.read_text(errors="replace")[-500:],
        remedy=f"see {workdir.runner_log}",
    )


def _failure(workdir: Workdir, found: JobStatus) -> ConfigurationError | DataError | JobError:
    message = found.reason or _last_error(workdir.log) or f"job ended with exit code {found.exit_code}"
    where = str(workdir.log)
    if found.exit_code == EXIT_CONFIGURATION:
        return ConfigurationError(message, where=where)
    if found.exit_code == EXIT_DATA:
        return DataError(message, where=where)
    if found.exit_code is not None and found.exit_code < 0:
        name = signal.Signals(-found.exit_code).name
        return JobError(
            f"job was ended by {name}", where=where, remedy="SIGKILL is often the machine short of memory"
        )
    return JobError(message, where=where, found=f"state {found.state}, exit code {found.exit_code}")


def _last_error(log: Path) -> str:
    """The last line of a log that says ERROR, without its head; else the last line."""
    try:
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    except FileNotFoundError:
        return ""
    errors = [line.partition(" ERROR ")[2] for line in lines if " ERROR " in line]
    return (errors or lines or [""])[-1]


class _Lines:
    """The lines of a growing file, each once and whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._rest = b""

    def new(self, *, last: bool) -> Iterator[str]:
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                block = file.read()
        except FileNotFoundError:
            return
        self._offset += len(block)
        *lines, self._rest = (self._rest + block).split(b"\n")
        if last and self._rest:
            lines.append(self._rest)
            self._rest = b""
        for line in lines:
            yield line.decode(errors="replace")
