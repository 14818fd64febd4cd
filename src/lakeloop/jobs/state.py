"""What is on disk about a job: its order (spec.json), its state (job.json), and which processes are alive.

Only reads and writes; starting and ending processes is `client` and `runner`.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import psutil
from pydantic import Field, StringConstraints, ValidationError

from lakeloop.durable import write_atomically
from lakeloop.jobs.admission import Need
from lakeloop.records import Frozen, fingerprint, now

JobState = Literal["pending", "waiting", "running", "succeeded", "failed", "lost"]
AT_WORK: tuple[JobState, ...] = ("pending", "waiting", "running")
"""States of a job that was submitted and has not ended; one that waits does so for a device."""

HEARTBEAT_SECONDS = 1.0
STALE_SECONDS = 60.0
"""A heartbeat older than this, on another machine, means that the job is lost."""
_CLOCK_TOLERANCE_SECONDS = 2.0


class JobSpec(Frozen):
    """An order for one job. With equal `job` and `work` (else `config`) two orders are the same work."""

    job: Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)*$")]
    """Module that is run, like `training.train`."""
    config: dict[str, Any]
    """What the job is given, as config.json; plain data."""
    work: str = ""
    """Fingerprint of the part of `config` that decides the outcome; empty when all of `config` does."""
    workdir: Path
    """The job's own folder: log, state, result and what the job makes. A new try finds it cleared, but for
    `inputs/`, `checkpoints/` and `spent/`."""
    root: Path
    """Where the job is started: the folder from which its module can be imported."""
    threads: int = Field(default=0, ge=0)
    """CPU threads, of all its processes together; 0 means all cores."""
    launcher: Literal["process", "torchrun"] = "process"
    """What the job is: one process, or several that work together; see `lakeloop.jobs.torchrun`."""
    processes: int | None = Field(default=None, ge=1)
    """How many, with torchrun; None: as many as suit the machine."""
    time_limit_seconds: float | None = Field(default=None, gt=0)
    need: Need | None = None
    """What it needs of the machine's devices; without it, it waits for none and sees all."""

    @property
    def fingerprint(self) -> str:
        if self.work:
            return fingerprint(job=self.job, work=self.work)
        return fingerprint(job=self.job, config=self.config)


class ProcessIdentity(Frozen):
    """A process by its number and start time: the number alone may be that of a later process."""

    pid: int
    started: float
    """Seconds since the epoch."""

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity:
        return cls(pid=pid, started=psutil.Process(pid).create_time())

    def find(self) -> psutil.Process | None:
        """The process, while it is alive."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < _CLOCK_TOLERANCE_SECONDS
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None


class JobRecord(Frozen):
    """job.json: written by the submitter, then by the runner, at least every `HEARTBEAT_SECONDS`."""

    state: Literal["pending", "waiting", "running", "succeeded", "failed"]
    fingerprint: str
    host: str = Field(default_factory=socket.gethostname)
    runner: ProcessIdentity | None = None
    process: ProcessIdentity | None = None
    """The job itself; it is the leader of its process group."""
    started_at: datetime = Field(default_factory=now)
    heartbeat: datetime = Field(default_factory=now)
    exit_code: int | None = None
    """Of the job; -n when signal n ended it."""
    reason: str = ""
    """Why it failed, where that is not in the log; why it waits."""
    begins_at: datetime | None = None
    """When a job that waits will probably begin, where that is known."""

    @property
    def local(self) -> bool:
        return self.host == socket.gethostname()

    @property
    def lost(self) -> bool:
        """The job should be at work, and no process of it is."""
        if self.state not in AT_WORK:
            return False
        if self.local and self.runner is not None:
            # A machine that was suspended has old heartbeats and live processes.
            return self.runner.find() is None
        return (now() - self.heartbeat).total_seconds() > STALE_SECONDS


@dataclass(frozen=True)
class JobStatus:
    """How a job is, as far as its folder tells."""

    state: JobState
    started_at: datetime | None = None
    """None when nothing is known of the job."""
    exit_code: int | None = None
    reason: str = ""

    @property
    def ended(self) -> bool:
        return self.state in ("succeeded", "failed", "lost")


@dataclass(frozen=True)
class Workdir:
    """The files of one job."""

    path: Path

    @property
    def spec(self) -> Path:
        return self.path / "spec.json"

    @property
    def config(self) -> Path:
        return self.path / "config.json"

    @property
    def record(self) -> Path:
        return self.path / "job.json"

    @property
    def log(self) -> Path:
        return self.path / "job.log"

    @property
    def runner_log(self) -> Path:
        return self.path / "runner.log"

    @property
    def result(self) -> Path:
        return self.path / "result.json"

    @property
    def scores(self) -> Path:
        """Of a trial of a search: its score after each epoch, a line of JSON for each."""
        return self.path / "scores.jsonl"

    @property
    def stop(self) -> Path:
        """Of a trial of a search: it is there when the trial is to end early."""
        return self.path / "stop"

    @property
    def inputs(self) -> Path:
        return self.path / "inputs"

    @property
    def checkpoints(self) -> Path:
        """What a try leaves for the next one, which tells by itself whether it is of use."""
        return self.path / "checkpoints"

    @property
    def spent(self) -> Path:
        """What each try of a job has cost, until the job is done."""
        return self.path / "spent"

    @property
    def pulse(self) -> Path:
        """What a job that works in steps touches; see `lakeloop.jobs.pulse`."""
        return self.path / "pulse"

    @property
    def submit_lock(self) -> Path:
        """Held while a job is submitted."""
        return self.path / "submit.lock"

    @property
    def run_lock(self) -> Path:
        """Held by the runner and the job for as long as one of them lives."""
        return self.path / "run.lock"

    def read_record(self) -> JobRecord | None:
        """The state on disk; None where there is none, or none that can be read."""
        try:
            return JobRecord.model_validate_json(self.record.read_bytes())
        except (FileNotFoundError, NotADirectoryError, ValidationError):
            return None

    def write_record(self, record: JobRecord) -> None:
        write_atomically(self.record, record.model_dump_json(indent=2) + "\n")


def usable_cores() -> int:
    """Cores that this process may use, which in a container can be fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def worker_environment(threads: int) -> dict[str, str]:
    """Variables that a job gets on top of the runner's environment; `threads` as in `JobSpec`."""
    count = str(threads or usable_cores())
    return {
        # Threads that wait for work by spinning halve the speed of everything else on the machine.
        "OMP_WAIT_POLICY": "PASSIVE",
        "OMP_NUM_THREADS": count,
        "MKL_NUM_THREADS": count,
        # OpenBLAS's threads spin while they wait; what is left to numpy here is small.
        "OPENBLAS_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONUNBUFFERED": "1",
        # The same weights from the same seed: order of sets, and cuBLAS without its own scratch memory.
        "PYTHONHASHSEED": "0",
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        # A job reads local files only, and reports to its journal only.
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "ORT_DISABLE_TELEMETRY": "1",
        "WANDB_MODE": "disabled",
        "WANDB_ERROR_REPORTING": "false",
    }
