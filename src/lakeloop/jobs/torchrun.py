"""Starts a job in several processes that work together: `python -m lakeloop.jobs.torchrun JOB --config FILE`.

It is what `torchrun` is on a command line, with the same agent of torch and for one machine: each process of
the job (a rank) finds in RANK and WORLD_SIZE which of how many it is. What is added is what a runner expects
of a job: exit codes that mean what the job's own do, one log, and that all are gone when this process is.

A rank that is killed takes the others with it, which cannot go on without; then all begin again, from what
the job saved. How ranks share work is the job's business.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import uuid
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

import psutil

from lakeloop.errors import (
    EXIT_CONFIGURATION,
    EXIT_DATA,
    EXIT_DONE,
    EXIT_TRANSIENT,
    ConfigurationError,
    LakeloopError,
    exit_code,
)
from lakeloop.jobs.log_lines import open_log
from lakeloop.jobs.state import usable_cores

log = logging.getLogger("lakeloop.jobs.torchrun")  # not the name of a module that is run

RESTARTS = 3
"""How often a job begins again after a rank was killed: a machine that is short of memory kills each time."""
ON_A_CPU = 2
"""Ranks where there is no device: each has the model in memory, and a batch is small."""
_HERE = "localhost"
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
_ELASTIC = "torch.distributed.elastic"


def main() -> NoReturn:
    """Run the job of the command line to its end, and exit with its code."""
    parser = argparse.ArgumentParser(description="Run a job in several processes.")
    parser.add_argument("--processes", type=int, default=0, help="0: as many as suit the machine")
    parser.add_argument("job", help="module that is run")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="of the job")
    options = parser.parse_args()
    command = ["-m", options.job, *options.arguments]
    open_log()
    try:
        count = count_of(options.processes)
        if count == 1:  # no agent to watch one process, which is this one from here on
            os.execv(sys.executable, [sys.executable, *command])  # noqa: S606
        code = launch(count, command)
    except LakeloopError as error:
        log.error("%s", "; ".join(line.strip() for line in str(error).splitlines()))  # noqa: TRY400
        code = exit_code(error)
    os._exit(code)  # at once: a runner waits ten seconds, and to forget all of torch can take four


def count_of(wished: int) -> int:
    """How many ranks there will be: one for each device, or two of a CPU, unless a number is wished for.

    Raises:
        ConfigurationError: it is larger than the number of devices, each of which can have one rank.
    """
    if wished == 1:
        return 1
    import torch

    devices = torch.cuda.device_count()
    if devices and wished > devices:
        raise ConfigurationError(
            "more processes than GPUs",
            where="train.processes",
            expected=f"at most {devices}, a GPU for each",
            found=str(wished),
            remedy="leave it open: then there are as many as the worker has GPUs",
        )
    return wished or devices or min(ON_A_CPU, usable_cores())


def launch(count: int, command: Sequence[str]) -> int:
    """Run `python COMMAND` in `count` ranks, again when one is killed; returns the exit code of them all."""
    for name in _THREADS:
        os.environ[name] = str(max(1, int(os.environ.get(name) or usable_cores()) // count))
    if sys.platform.startswith("linux"):  # else gloo asks which address the machine's name has
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    signal.signal(signal.SIGUSR1, _ask_where)
    for restart in range(RESTARTS + 1):
        code = _run(count, command)
        if code >= 0:
            return code
        name = signal.Signals(-code).name
        if restart < RESTARTS:
            what = "a process of the job was ended by %s: all begin again, from what was saved (%d of %d)"
            log.warning(what, name, restart + 1, RESTARTS)
    what = "processes of the job were ended by %s %d times; SIGKILL is often the machine short of memory"
    log.error(what, name, RESTARTS + 1)
    return EXIT_TRANSIENT


def _run(count: int, command: Sequence[str]) -> int:
    """The exit code of one try; -n when signal n ended a rank."""
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    for name in logging.root.manager.loggerDict:
        if name.startswith(_ELASTIC):  # the ranks say themselves why they end, in the words of the job
            logging.getLogger(name).setLevel(logging.CRITICAL)
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint=f"{_HERE}:0",
        local_addr=_HERE,
        max_restarts=0,  # it would begin again after any exit code, that of a wrong loop file too
    )
    try:
        elastic_launch(config, sys.executable)(*command)
    except ChildFailedError as error:
        return code_of([failure.exitcode for failure in error.failures.values()])
    except SignalException:  # the ranks were told, and have ended
        return EXIT_TRANSIENT
    return EXIT_DONE


def code_of(codes: Sequence[int]) -> int:
    """What the exit codes of ranks mean together, in the order in which they ended; -n is of signal n.

    When one ends the others are asked to, and what they say of that is of no meaning.
    """
    for code in codes:
        if code in (EXIT_CONFIGURATION, EXIT_DATA):
            return code
    asked = (EXIT_DONE, EXIT_TRANSIENT, -signal.SIGTERM)
    return next((code for code in codes if code not in asked), EXIT_TRANSIENT)


def _ask_where(_number: int, _frame: object) -> None:
    """Pass on the question of a runner that finds the job hanging."""
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):
            child.send_signal(signal.SIGUSR1)


if __name__ == "__main__":
    main()
