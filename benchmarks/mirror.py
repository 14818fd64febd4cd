"""What a W&B in trouble costs the step of a training, and whether a point is lost.

    python -m benchmarks.mirror [--steps 3000] [--repeat 3] [--sides well 429 500 'slow, 10 s' down]

A process does the steps of a training on a small network (one thread) and reports to its journal as jobs do,
each tenth step, while the mirror follows the run. On one side W&B is switched off; on the others a server on
loopback plays a W&B that is well, answers 429 or 500 to two of three requests, needs 10 s for each answer, or
never answers. Then the mirror runs once more with a server that is well, and the points are counted there.
The step meets W&B in the journal alone: what it takes to tell a step is measured by itself, for a machine
that does other work makes all else differ by more.
"""

# ruff: noqa: PLC0415  (the parent needs no torch)

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.sides import Cost, cpu_seconds, in_a_process, machine, report_cost
from lakeloop.settings import Settings
from lakeloop.tracking.journal import JournalIdentity, JournalTracker
from lakeloop.tracking.wake import mirror_lock, wake_mirror
from tests.support.wandb_server import WandbServer, silent_server, wandb_server

ROOT = Path(__file__).resolve().parents[1]
OFF = "switched off"
SIDES = (OFF, "well", "429", "500", "slow, 10 s", "down")
LOG_STEPS = 10
_LEAVE_SECONDS = 180.0


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--sides", nargs="*", choices=SIDES, default=SIDES)
    parser.add_argument("--side", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        train(options.steps)
        return
    found: dict[str, list[tuple[Cost, int]]] = {side: [] for side in dict.fromkeys((OFF, *options.sides))}
    for _ in range(options.repeat):  # in turns: a machine that is busy for a while is so for all sides
        for side, costs in found.items():
            costs.append(measured(side, options.steps))
            print(f"{side}: {costs[-1]}", file=sys.stderr)
    Console().print(table(found, options.steps))


def measured(side: str, steps: int) -> tuple[Cost, int]:
    """The cost of `steps` steps beside a W&B like `side`, and the points that it has in the end."""
    with tempfile.TemporaryDirectory(prefix="lakeloop-mirror-") as home, wandb_server() as well:
        environment = {"LAKELOOP_HOME": home, "HOME": home, "WANDB_API_KEY": "a" * 40, "OMP_NUM_THREADS": "1"}
        environment["WANDB_MODE"] = "disabled" if side == OFF else "online"
        with _server_like(side, well) as url:
            arguments = ("--side", side, "--steps", str(steps))
            cost = in_a_process("benchmarks.mirror", arguments, {**environment, "WANDB_BASE_URL": url})
            _wait_for_the_mirror(Path(home))
        well.trouble, well.delay = lambda _what, _run: 200, 0.0
        if side != OFF:
            _replay(Path(home), {**environment, "WANDB_BASE_URL": well.url})
        return cost, sum(len(run.history) for run in well.runs.values())


@contextmanager
def _server_like(side: str, well: WandbServer) -> Iterator[str]:
    if side == "down":
        with silent_server() as url:
            yield url
        return
    if side in ("429", "500"):
        well.trouble = _two_of_three(int(side))
    if side.startswith("slow"):
        well.delay = 10.0
    yield well.url


def _two_of_three(status: int) -> Callable[[str, str], int]:
    asked = itertools.count()
    return lambda _what, _run: 200 if next(asked) % 3 == 2 else status


def train(steps: int) -> None:
    """Do the steps and report each; prints the cost, with the median and the slowest step in ms."""
    import torch

    from lakeloop.measures.registry import metric_of
    from training.progress import Progress

    torch.set_num_threads(1)
    settings = Settings(root=ROOT)
    identity = JournalIdentity("bench", "train-job", "2026-11-20", "run")
    network = torch.nn.Sequential(torch.nn.Linear(256, 512), torch.nn.GELU(), torch.nn.Linear(512, 256))
    optimiser, rows = torch.optim.AdamW(network.parameters(), fused=True), torch.randn(64, 256)
    wake_mirror(settings)
    imported, milliseconds, told = cpu_seconds(), [], 0.0
    with JournalTracker(identity.path(settings.journals), identity) as tracker:
        progress = Progress(tracker, metric_of("classification", "accuracy"), 1, steps)
        for _ in range(steps):
            began = time.perf_counter()
            loss = (network(rows) - rows).square().mean()
            loss.backward()
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            value, before = loss.item(), time.thread_time()
            progress.step(value, 1e-3, len(rows), 1.0)
            told += time.thread_time() - before
            milliseconds.append(1000 * (time.perf_counter() - began))
    found = {"median": statistics.median(milliseconds), "slowest": max(milliseconds), "told": told}
    report_cost(imported, found)


def _wait_for_the_mirror(home: Path) -> None:
    """Until the mirror has left by itself."""
    settings, deadline = Settings(root=ROOT, home=home), time.monotonic() + _LEAVE_SECONDS
    while time.monotonic() < deadline:
        with mirror_lock(settings.journals) as free:
            if free:
                return
        time.sleep(0.5)


def _replay(home: Path, environment: dict[str, str]) -> None:
    settings = Settings(root=ROOT, home=home)
    argv = [sys.executable, "-m", "lakeloop.tracking.mirror", "--journals", str(settings.journals)]
    argv += ["--wandb-dir", str(settings.wandb_dir), "--linger", "0"]
    subprocess.run(argv, env={**os.environ, **environment}, check=True, capture_output=True)


def table(found: dict[str, list[tuple[Cost, int]]], steps: int) -> Table:
    """One line a side: medians over the repeats, beside those of W&B switched off."""
    shown = Table(title=f"{steps} steps, one of {LOG_STEPS} told ({machine()})")
    heads = (
        "W&B",
        "CPU ms a step",
        "of that telling",
        "to off",
        "median step, ms",
        "slowest, ms",
        "points lost",
    )
    for name in heads:
        shown.add_column(name, justify="left" if name == "W&B" else "right")
    points = steps // LOG_STEPS
    off = _figures(found[OFF], steps)[0]
    for side, costs in found.items():
        cpu, told, wall, slowest = _figures(costs, steps)
        lost = "" if side == OFF else str(sum(points - got for _, got in costs))
        shown.add_row(
            side, f"{cpu:.3f}", f"{told / cpu:.2%}", f"{cpu / off - 1:+.1%}", f"{wall:.2f}", f"{slowest:.0f}",
            lost,
        )  # fmt: skip
    return shown


def _figures(costs: list[tuple[Cost, int]], steps: int) -> tuple[float, float, float, float]:
    """In ms, medians over the repeats: CPU a step, the part of it for telling, wall a step, the slowest."""
    cpu = statistics.median(1000 * cost.work_seconds / steps for cost, _ in costs)
    told = statistics.median(1000 * cost.found["told"] / steps for cost, _ in costs)
    wall = statistics.median(cost.found["median"] for cost, _ in costs)
    return cpu, told, wall, statistics.median(cost.found["slowest"] for cost, _ in costs)


if __name__ == "__main__":
    main()
