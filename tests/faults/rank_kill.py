"""A training by torchrun that loses a process, then is asked to end, beside one that is left alone.

    python -m tests.faults.rank_kill

It takes six starts of torch in a row, two or three minutes; what is quicker of it is in the tests.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from lakeloop.base_model import find_base_model
from lakeloop.jobs import JobSpec, cancel, result, submit, wait
from lakeloop.jobs.state import Workdir
from tests.support.tiny_bert import make_base_model, make_dataset
from tests.support.training_jobs import Folders, job_config

log = logging.getLogger("rank_kill")

ROOT = Path(__file__).parents[2]
EPOCHS = 40
"""So many that it is at work when it is ended."""
STEPS = 12
"""Of an epoch."""


def main() -> None:
    """Train twice, and compare."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    with tempfile.TemporaryDirectory() as folder:
        orders = [order(Path(folder), name) for name in ("alone", "disturbed")]
        wait(submit(orders[0]))
        disturb(orders[1])
        wait(submit(orders[1]))
        alone, disturbed = (result(str(each.workdir)) for each in orders)
    for found in (alone, disturbed):
        what = "digest %s, went on after steps %s, %d processes, %.1f CPU s"
        went_on, spent = found["details"]["resumed_at"], found["cost"]["cpu_seconds"]
        log.info(what, found["digest"][:12], went_on, found["processes"], spent)
    assert len(disturbed["details"]["resumed_at"]) == 2
    assert alone["digest"] == disturbed["digest"]


def order(folder: Path, name: str) -> JobSpec:
    """A training of a tiny base model in two processes."""
    base = find_base_model("models/tiny", make_base_model(folder / name / "tiny"))
    (folder / name / "cache").mkdir()
    folders = Folders(
        make_dataset(folder / name / "rows"), folder / name / "cache", folder / name / "journals"
    )
    config: dict[str, Any] = json.loads(
        job_config(base, folders, "full", epochs=EPOCHS, patience=EPOCHS).model_dump_json()
    )
    return JobSpec(
        job="training.train", config=config, workdir=folder / name / "job", root=ROOT, threads=2,
        launcher="torchrun", processes=2,
    )  # fmt: skip


def disturb(job: JobSpec) -> None:
    """Kill a process of the job, see that it goes on by itself, and end it."""
    workdir, job_id = Workdir(job.workdir), submit(job)
    until(workdir, lambda log: "epoch 2 of" in log)
    first = ranks_of(workdir)
    os.kill(first[1], signal.SIGKILL)
    until(workdir, lambda log: "epoch" in log.partition("goes on after step ")[2])
    second = ranks_of(workdir)
    ended = cancel(job_id)

    text = workdir.log.read_text()
    assert "WARNING a process of the job was ended by SIGKILL: all begin again" in text
    resumed = int(text.partition("goes on after step ")[2].split()[0])
    assert resumed >= 2 * STEPS, "no step that was taken is lost"
    found = (ended.state, ended.reason, ended.exit_code)
    assert found == ("failed", "it was cancelled", 75), (found, text)
    saved = max(int(path.name.removeprefix("step-")) for path in workdir.checkpoints.iterdir())
    assert saved > resumed
    assert not any(psutil.pid_exists(pid) for pid in (*first, *second))
    log.info("killed: went on after step %d by itself; asked to end: saved step %d", resumed, saved)


def ranks_of(workdir: Workdir) -> list[int]:
    """The processes of the job, by their numbers."""
    record = workdir.read_record()
    assert record is not None
    assert record.process is not None
    children = psutil.Process(record.process.pid).children()
    numbers = {child.pid: int(child.environ()["RANK"]) for child in children}
    assert sorted(numbers.values()) == [0, 1]
    return sorted(numbers, key=numbers.__getitem__)


def until(workdir: Workdir, condition: Callable[[str], bool]) -> None:
    """Wait for what the log of the job will say."""
    deadline = time.monotonic() + 120
    while not (workdir.log.exists() and condition(workdir.log.read_text())):
        assert time.monotonic() < deadline, workdir.log.read_text()
        time.sleep(0.02)


if __name__ == "__main__":
    main()
