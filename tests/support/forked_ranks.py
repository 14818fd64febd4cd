"""The processes of one job, as copies of this one: an import of torch for each would take many seconds.

They find each other as those of torchrun do. What a test has patched is patched in them too.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import torch

import training.gradient  # noqa: F401 - once, and not in each copy
from lakeloop.errors import LakeloopError, exit_code
from lakeloop.local.airflow_env import free_port
from training.checkpoint import Checkpoints
from training.job import Job
from training.memory import Passes
from training.ranks import join
from training.train import train

LONGEST_SECONDS = 60

AtStep = Callable[[int, int], None]
"""Gets the number of a process, and of the batch that it begins with, from 1."""


def in_two(work: Callable[[int], None]) -> list[int]:
    """Have two processes do `work`, which gets the number of each; their exit codes, -n of signal n."""
    port = free_port()

    def rank(number: int) -> None:
        os.environ |= {
            "TORCHELASTIC_RUN_ID": "test", "RANK": str(number), "LOCAL_RANK": str(number), "WORLD_SIZE": "2",
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo",
        }  # fmt: skip
        work(number)

    return _ended([_fork(partial(rank, number)) for number in (0, 1)])


@dataclass(frozen=True)
class Ended:
    """How a process that trained has ended; with another code than 0 only that is known."""

    code: int
    weights: dict[str, torch.Tensor]
    details: dict[str, Any]
    loss: float
    """Of the best epoch, on the validation rows."""
    seen: list[list[int]]
    """The rows of each batch that it was given."""


def train_in_two(make_job: Callable[[], Job], folder: Path, at_step: AtStep | None = None) -> list[Ended]:
    """Train a job in two processes, whose checkpoints lie in `folder`."""

    def work(number: int) -> None:
        seen = _watch(number, at_step)
        job = make_job()
        job.ending.listen()
        job.checkpoints, job.ranks = Checkpoints(folder / "checkpoints", "work"), join()
        trained = train(job)
        told = (trained.network.state_dict(), trained.details, trained.validation.loss, seen)
        torch.save(told, folder / f"rank-{number}.pt")
        job.ranks.gather(number)  # nobody goes before all are done

    def ended(number: int, code: int) -> Ended:
        if code != 0:
            return Ended(code, {}, {}, 0.0, [])
        return Ended(code, *torch.load(folder / f"rank-{number}.pt", weights_only=True))

    return [ended(number, code) for number, code in enumerate(in_two(work))]


def killed_at_batch(number: int, work: Callable[[], object]) -> int:
    """Have a process do `work` until it begins with that batch, from 1, and kill it there; its exit code."""

    def at_step(_: int, batch: int) -> None:
        if batch == number:
            os.kill(os.getpid(), signal.SIGKILL)

    def killed() -> None:
        _watch(0, at_step)
        work()

    return _ended([_fork(killed)])[0]


def _fork(work: Callable[[], None]) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads, which wait here
        child = os.fork()
    if child == 0:
        _be(work)
    return child


def _ended(children: list[int]) -> list[int]:
    """Exit codes of the processes, -n of signal n."""
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def _be(work: Callable[[], None]) -> NoReturn:
    code: Any = 1
    try:
        signal.alarm(LONGEST_SECONDS)
        work()
        code = 0
    except LakeloopError as error:
        code = exit_code(error)
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001 - nothing may come back into the copied process
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _watch(number: int, at_step: AtStep | None) -> list[list[int]]:
    seen: list[list[int]] = []
    whole = Passes.run

    def run(self: Passes, rows: Any, *rest: Any) -> torch.Tensor:
        seen.append(rows.tolist())
        if at_step:
            at_step(number, len(seen))
        return whole(self, rows, *rest)

    Passes.run = run  # type: ignore[method-assign, assignment]
    return seen
