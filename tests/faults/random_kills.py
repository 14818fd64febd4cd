"""A training job that is killed at random times, many of them inside a save, and started again each time.

    python -m tests.faults.random_kills [--kills 300] [--seed 1]

Each try is a forked copy of this process, which has imported torch: an import for each would take minutes.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import hashlib
import json
import math
import mmap
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn
from unittest.mock import patch

import torch

from lakeloop.base_model import find_base_model
from lakeloop.jobs.state import Workdir
from lakeloop.tracking.journal import read_journal
from tests.support.tiny_bert import make_base_model, make_dataset
from tests.support.training_jobs import Folders, job_config
from training import account, checkpoint, job
from training.checkpoint import Checkpoints, State
from training.course import Course
from training.gradient import Fit
from training.job import run
from training.memory import Passes
from training.network import Network
from training.train import train

BATCH = 8
STEPS = 8
"""Of an epoch."""
LONGEST_TRY_SECONDS = 120.0


class Shared(ctypes.Structure):
    """What a try tells who kills it, in memory that outlives the kill."""

    _fields_ = (("steps", ctypes.c_long), ("save_seconds", ctypes.c_double), ("saving", ctypes.c_bool))

    @classmethod
    def between_processes(cls) -> Shared:
        return cls.from_buffer(mmap.mmap(-1, ctypes.sizeof(cls)))


@dataclass
class Killer:
    """Starts tries of one job and kills them."""

    config: Path
    seed: int
    batches: Path
    """Where all tries write down each step that they took: its number, and the rows."""
    killed: Counter[str] = field(default_factory=Counter)
    """Kills `inside` and `outside` of a save."""
    _shared: Shared = field(default_factory=Shared.between_processes)

    def kill(self, times: int, inside: int) -> None:
        """Kill so many tries after some steps of each, `inside` of them while they save."""
        draw = random.Random(self.seed)
        aims = [number < inside for number in range(times)]
        draw.shuffle(aims)
        for aim_inside in aims:
            child, steps = self._start(), draw.randint(1, 6)
            self._await(child, lambda steps=steps: self._shared.steps >= steps)
            if aim_inside:
                self._await(child, lambda: self._shared.saving)
                time.sleep(draw.uniform(0, 0.8 * self._shared.save_seconds))
            else:
                time.sleep(draw.uniform(0, 2 * self._shared.save_seconds))
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            assert os.WIFSIGNALED(status), "it was over before it was killed: train for longer"
            self.killed["inside" if self._shared.saving else "outside"] += 1

    def ask_to_end(self, after: int) -> tuple[int, float]:
        """Ask a try that saves nothing by itself to end after so many steps: its exit code, and seconds."""
        child = self._start(every=math.inf)
        self._await(child, lambda: self._shared.steps >= after)
        began = time.monotonic()
        os.kill(child, signal.SIGTERM)
        _, status = os.waitpid(child, 0)
        return os.waitstatus_to_exitcode(status), time.monotonic() - began

    def finish(self) -> None:
        """Let a try come to its end."""
        _, status = os.waitpid(self._start(every=math.inf), 0)
        assert status == 0

    def _start(self, every: float = 0.0) -> int:
        """Begin a try that saves that often, by default after each step; its process id."""
        self._shared.steps, self._shared.saving = 0, False
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads, which wait here
            child = os.fork()
        if child == 0:
            self._try(every)
        return child

    def _await(self, child: int, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + LONGEST_TRY_SECONDS
        while not condition():
            assert os.waitpid(child, os.WNOHANG) == (0, 0), "a try ended by itself"
            if time.monotonic() > deadline:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                raise TimeoutError("a try took no step")
            time.sleep(0.0002)

    def _try(self, every: float) -> NoReturn:
        """One try of the job; what is changed here is changed in this copy of the process."""
        code: Any = 1
        try:
            checkpoint.SECONDS, checkpoint.SHARE, account.SECONDS = every, math.inf, 0.02
            self._watch()
            sys.argv = ["training.train", "--config", str(self.config)]
            job.main(train)
        except SystemExit as end:
            code = end.code
        except BaseException:  # noqa: BLE001 - nothing may come back into the copied process
            traceback.print_exc()
        finally:
            os._exit(code)

    def _watch(self) -> None:
        shared, run_rows, step, write = self._shared, Passes.run, Fit._step, Checkpoints._write
        batch: list[int] = []

        def noting(passes: Passes, rows: Any, *rest: Any) -> torch.Tensor:
            batch[:] = rows.tolist()
            return run_rows(passes, rows, *rest)

        def stepping(fit: Fit, course: Course, *rest: Any) -> None:
            step(fit, course, *rest)
            with self.batches.open("a") as file:
                file.write(json.dumps([course.progress.done, batch]) + "\n")
            shared.steps += 1

        def saving(checkpoints: Checkpoints, number: int, state: State) -> None:
            shared.saving, began = True, time.monotonic()
            write(checkpoints, number, state)
            shared.saving, shared.save_seconds = False, time.monotonic() - began

        job.export_artifact = weights_alone
        Passes.run = noting  # type: ignore[method-assign]
        Fit._step = stepping  # type: ignore[method-assign]
        Checkpoints._write = saving  # type: ignore[method-assign]


def weights_alone(network: Network, _tokenizer: Any, description: Any, *_: Any, **__: Any) -> Any:
    """In place of an artifact: the digest of the weights, which are all that is in question here."""
    digest = hashlib.sha256()
    for name, weights in network.state_dict().items():
        digest.update(name.encode() + weights.numpy().tobytes())
    return SimpleNamespace(digest=digest.hexdigest(), description=description)


@dataclass(frozen=True)
class Proof:
    """What became of a job that was killed again and again, beside the same job that was left alone."""

    killed: Counter[str]
    ended: tuple[int, float]
    """Exit code of the try that was asked to end, and the seconds that it took for it."""
    steps: int
    """Of the whole training."""
    taken: int
    """Steps that all tries took together: those after the last checkpoint are taken again."""
    result: dict[str, Any]
    undisturbed: dict[str, Any]
    batches: dict[int, set[tuple[int, ...]]]
    """Number of a step -> what it was trained on, each time that it was taken."""
    curve: list[Any]
    undisturbed_curve: list[Any]
    cpu_seconds: float
    """Of all tries, by the kernel, which saw each of them end."""
    left: list[str]
    """What is in the job's folder in the end."""


def prove(folder: Path, kills: int, inside: int, seed: int) -> Proof:
    """Train twice in `folder`, once undisturbed and once with `kills`, `inside` of them in a save."""
    undisturbed, killed = write_jobs(folder, epochs=kills)
    gc.freeze()  # no child looks through what is there now, and gets a copy of all of it by that
    with patch.object(job, "export_artifact", weights_alone):
        run(undisturbed, train)  # in this process: the copies of it need not import what it imported
    killer, before = Killer(killed, seed, folder / "batches"), _of_children()
    killer.kill(kills, inside)
    ended = killer.ask_to_end(after=3)
    killer.finish()
    spent = _of_children() - before
    gc.unfreeze()
    whole, result = (json.loads(Workdir(path.parent).result.read_bytes()) for path in (undisturbed, killed))
    lines = [json.loads(line) for line in killer.batches.read_text().splitlines()]
    batches: dict[int, set[tuple[int, ...]]] = {}
    for step, rows in lines:
        batches.setdefault(step, set()).add(tuple(rows))
    return Proof(
        killer.killed, ended, kills * STEPS, len(lines), result, whole, batches,
        curve(folder / "journals", result["run"]), curve(folder / "journals", whole["run"]), spent,
        sorted(path.name for path in killed.parent.iterdir()),
    )  # fmt: skip


def _of_children() -> float:
    """CPU seconds of all ended children of this process."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def write_jobs(folder: Path, epochs: int) -> list[Path]:
    """Write two configs of the same training on tiny data; their paths."""
    base = find_base_model("models/tiny", make_base_model(folder / "base"))
    dataset = make_dataset(folder / "dataset", rows=BATCH * STEPS)
    (folder / "cache").mkdir()
    folders = Folders(dataset, folder / "cache", folder / "journals")
    config = job_config(base, folders, "full", epochs=epochs, patience=epochs, batch_size=BATCH)
    paths = [folder / name / "config.json" for name in ("undisturbed", "killed")]
    for path in paths:
        path.parent.mkdir()
        path.write_text(config.model_dump_json())
    return paths


def curve(journals: Path, run: str) -> list[tuple[int, dict[str, float]]]:
    """The points of a run's journal, without what was measured of the machine."""
    (path,) = journals.rglob(f"{run}.jsonl")
    clock = ("train/seconds", "train/texts_per_second", "system/")
    return [
        (entry.data["step"], {k: v for k, v in entry.data["metrics"].items() if not k.startswith(clock)})
        for entry in read_journal(path)
        if entry.kind == "log"
    ]


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(arguments)
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        proof = prove(Path(folder), asked.kills, asked.kills // 3, asked.seed)
    again = proof.taken - proof.steps
    same = proof.result["digest"] == proof.undisturbed["digest"] and proof.curve == proof.undisturbed_curve
    said = f"{dict(proof.killed)} kills, {again} of {proof.steps} steps taken again; the same model: {same}"
    counted = f"{proof.result['cpu_seconds']:.2f} of {proof.cpu_seconds:.2f} CPU s counted"
    sys.stdout.write(f"{said}; {counted}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
