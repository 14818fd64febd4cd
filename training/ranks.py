"""The processes of one job that train together, each on its part of every batch; the usual is one.

Each has the whole network. Gradients are added up by hand once a step, so that all take the same step and
hold the same bits; what a method moves and how does not matter. The process that leads saves, tells and
seals alone, and so a checkpoint goes on with any number of processes. Starting them is
`lakeloop.jobs.torchrun`, or who else sets the variables of torchrun.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from torch import distributed

from lakeloop.errors import EXIT_TRANSIENT, TransientError

T = TypeVar("T")

_PIECE = 1 << 28
"""Bytes that are exchanged at once."""
_PR_SET_PDEATHSIG = 1


class RankLostError(TransientError):
    """Another process of the job is gone, without which none can go on."""


@dataclass(frozen=True)
class Ranks:
    """Which process of a job this is."""

    number: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        return self.number == 0

    def part_of(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], float]:
        """The rows of a batch that this process takes, and their share of it.

        Every row is taken by one process. Where there are too few for all, one is run and counts nothing:
        each process has gradients then, of zero, for the same weights.
        """
        part = rows[self.number :: self.count]
        return (part, len(part) / len(rows)) if len(part) else (rows[:1], 0.0)

    def most_of(self, batch_size: int) -> int:
        """The largest part of a batch of this size."""
        return -(-batch_size // self.count)

    def own(self, batches: Sequence[T]) -> Sequence[T]:
        """Those of the batches that this process runs, when each is run once; none, where there are few."""
        return batches[self.number :: self.count]

    def memory(self, free: int, device: torch.device) -> int:
        """What of the free bytes of its device this process may count on."""
        return free if device.type == "cuda" else free // self.count

    def draw(self, seed: int, step: int) -> None:
        """Let dropout draw what follows from the step and the process, whatever was drawn before.

        So that what a training goes on with needs no generator but that of one process. One process alone
        draws on.
        """
        if self.count > 1:
            words = np.random.SeedSequence((seed, step, self.number)).generate_state(1, np.uint64)
            torch.manual_seed(int(words[0]))

    def add_up(self, loss: torch.Tensor, parameters: Sequence[torch.Tensor]) -> torch.Tensor:
        """Replace the gradients of `parameters` by their sums over all processes; returns that of `loss`.

        Raises:
            RankLostError: another process is gone; the weights are as they were.
        """
        if self.count == 1:
            return loss
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        whole = torch.cat([loss.reshape(1), *(gradient.reshape(-1) for gradient in gradients)])
        with self._together():
            distributed.all_reduce(whole)
        total, *sums = torch.split(whole, [1, *(gradient.numel() for gradient in gradients)])
        for gradient, added in zip(gradients, sums, strict=True):
            gradient.copy_(added.view_as(gradient))
        return total[0]

    def put_together(self, values: torch.Tensor) -> None:
        """Fill in what other processes have; of each number one process has it, on its CPU, the others 0."""
        if self.count == 1:
            return
        # Added up as bytes: a number and zeros, whatever its type, and its bits stay as they are.
        for piece in torch.split(values.view(-1).view(torch.uint8), _PIECE):
            with self._together():
                distributed.all_reduce(piece)

    def gather(self, value: T) -> list[T]:
        """The values of all processes, by number."""
        if self.count == 1:
            return [value]
        found: list[Any] = [None] * self.count
        with self._together():
            distributed.all_gather_object(found, value)
        return found

    def require_same(self, step: int) -> None:
        """Require that all go on from one checkpoint, thus after the same step.

        Raises:
            TransientError: a process has read another one.
        """
        if len(steps := set(self.gather(step))) > 1:
            raise TransientError(
                "the processes of the job would go on from different checkpoints",
                expected="one step",
                found=", ".join(map(str, sorted(steps))),
                remedy="submit it again",
            )

    def leave(self) -> None:
        """What follows is done by the process that leads, alone."""
        if self.count > 1:
            distributed.destroy_process_group()

    @contextmanager
    def _together(self) -> Iterator[None]:
        """What is done by all; where one is gone, the one that leads raises, and the others end at once.

        Raises:
            RankLostError: see above.
        """
        try:
            yield
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            if not self.leads:  # its last words would hide what the others have to say
                os._exit(EXIT_TRANSIENT)
            raise RankLostError("another process of the job is gone", remedy="submit it again") from error


ALONE = Ranks()


def join() -> Ranks:
    """Meet the other processes of this job, where a launcher has started it in several.

    On a machine with devices each has one of its own.

    Raises:
        RankLostError: another process does not come.
    """
    if not distributed.is_torchelastic_launched() or (count := int(os.environ["WORLD_SIZE"])) == 1:
        return ALONE
    end_with_parent()
    ranks = Ranks(int(os.environ["RANK"]), count)
    if not ranks.leads:
        for name in ("lakeloop", "training"):  # all would tell the same
            logging.getLogger(name).setLevel(logging.WARNING)
    backend = "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        backend = "cpu:gloo,cuda:nccl"
    with ranks._together():  # noqa: SLF001 - of this module
        distributed.init_process_group(backend)
    return ranks


def cost_of_launcher() -> float:
    """CPU seconds of the process that has started the ranks."""
    spent = psutil.Process(os.getppid()).cpu_times()
    return float(spent.user + spent.system)


def end_with_parent() -> None:
    """Have the kernel end this process when the one that started it dies: on Linux."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
