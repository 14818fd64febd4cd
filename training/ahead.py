"""The graph of a training's architecture, traced beside the training: ONNX needs it at the end.

Tracing takes as long as a short training on a GPU, which keeps one core busy. It is done once for each base
model and method, by `training.trace` in a process of its own: a thread would hold up the one that asks for
kernels. What fails there is done at the end, as it is where no core is free.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from lakeloop.jobs.state import usable_cores
from lakeloop.records import fingerprint
from training.graph import versions

if TYPE_CHECKING:
    from training.job import Job

log = logging.getLogger(__name__)

_MODULE = "training.trace"
_SECONDS = 600.0
"""Longest that it is waited for, at the end of a training."""
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


@contextmanager
def traced_ahead(config: Path, job: Job) -> Iterator[Callable[[], None]]:
    """In the block the graph of the job, whose config is told, is traced, where that is worth while.

    Gives what waits until that is over. Nothing of it runs after the block.
    """
    known = _known(job)
    process = _start(config) if not known.exists() and _has_steps(job) and has_room(job) else None

    def wait() -> None:
        if process is not None and process.poll() is None:
            log.info("waiting for the graph of this architecture, which is traced beside")
            with suppress(subprocess.TimeoutExpired):
                process.wait(_SECONDS)
        if process is not None and process.poll() != 0:
            log.info("it was not traced beside (exit code %s)", process.poll())

    try:
        yield wait
        with suppress(OSError):
            known.touch()
    finally:
        if process is not None:
            process.kill()
            process.wait()


def has_room(job: Job) -> bool:
    """Whether a core is free beside those of the training and of what else runs."""
    cores = usable_cores()
    if job.device.target.type == "cuda":  # a process keeps one busy
        return cores > job.ranks.count
    return cores - job.device.threads * job.ranks.count - os.getloadavg()[0] >= 1


def _has_steps(job: Job) -> bool:
    """Whether the training goes step by step, others are short, and its network is the usual one.

    One that reads features is as wide as the rows say, which the tracer does not read.
    """
    usual = job.dataset.reads.text_alone and not job.dataset.contract.per_token
    return usual and job.ranks.leads and job.config.candidate.method.shares_batches


def _known(job: Job) -> Path:
    """A file that is there when such a network was exported before; its graph lies beside, if it is kept."""
    name = fingerprint(
        base=job.base.digest,
        method=job.config.candidate.method.model_dump(mode="json"),
        versions=versions(),
    )
    return job.config.cache / "graphs" / f"{name[:32]}.known"


def _start(config: Path) -> subprocess.Popen[bytes] | None:
    command = [sys.executable, "-m", _MODULE, "--config", str(config), "--parent", str(os.getpid())]
    code = str(Path(__file__).resolve().parents[1])
    path = os.pathsep.join([code, *filter(None, [os.environ.get("PYTHONPATH")])])
    try:
        # In the process group of the job: who ends the group ends it too.
        return subprocess.Popen(
            command,
            env={**os.environ, **_ONE_THREAD, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    except OSError as error:
        log.info("the graph is traced at the end: %s", error)
        return None
