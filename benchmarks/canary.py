"""How often a version beside the champion is taken back: one that is as good, and one that is worse.

    python -m benchmarks.canary [--runs 200] [--requests 300] [--share 0.1]
    python -m benchmarks.canary --rows 1000000

With `--rows`, what one look costs instead (`benchmarks.look`).

Requests are drawn, all that follows is the product's (`monitoring.canary`). It is looked at after every
request, which is the most that can be: to look less often finds the same evidence, later. `clients`: not each
request but each client is with one version, as the server has it; a few clients send most of the requests,
and each has its own share of texts that a model is unsure of, or fails on. That the versions' requests are
alike is then true only on average.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks import look
from benchmarks.sides import machine
from lakeloop.monitoring.canary import Action, Name, Plan, Seen, verdict

STEPS = 2
"""Of the trial, each with its part of the risk: the shadow, and this share."""


@dataclass(frozen=True)
class World:
    """What requests are like; pairs are of the champion and of the version that is tried."""

    title: str
    failures: tuple[float, float] = (0.001, 0.001)
    slower: float = 1.0
    unsure: tuple[float, float] = (0.1, 0.1)
    wrong: tuple[float, float] = (0.1, 0.1)
    feedback: float = 0.2
    """Share of the requests for which somebody says what was right."""
    clients: int = 0
    """That send the requests, by a power law, each with its own difficulty; 0: each request is its own."""


WORLDS = (
    World("as good"),
    World("as good, 1 % of the requests fail", failures=(0.01, 0.01)),
    World("as good, a third slower", slower=1.33),
    World("as good, unsure half as often again", unsure=(0.1, 0.15)),
    World("as good, 1000 clients", clients=1000),
    World("as good, 100 clients", clients=100),
    World("fails on 5 % in place of 0.1 %", failures=(0.001, 0.05)),
    World("fails on 1 % in place of 0.1 %", failures=(0.001, 0.01)),
    World("twice as slow", slower=2.0),
    World("three times as slow", slower=3.0),
    World("unsure of half in place of a tenth", unsure=(0.1, 0.5)),
    World("wrong on 30 % in place of 10 %", wrong=(0.1, 0.3)),
    World("the same 5 % failures, 100 clients", failures=(0.001, 0.05), clients=100),
)


def drawn(world: World, requests: int, share: float, rng: np.random.Generator) -> dict[Name, Seen]:
    """Requests until the version that is tried has had so many; in the shadow (share 0) pairs."""
    found: dict[Name, list[tuple[bool, float]]] = {"failures": [], "latency": [], "unsure": [], "wrong": []}
    sides, harder = _clients(world, share, rng)
    had = 0
    while had < requests:
        client = rng.choice(len(sides), p=_traffic(len(sides))) if world.clients else -1
        ours = (
            [False, True] if not share else [bool(sides[client]) if world.clients else rng.random() < share]
        )
        times = harder[client] if world.clients else 1.0
        milliseconds = 20 * np.exp(0.5 * rng.standard_normal())
        told = rng.random() < world.feedback
        for our in ours:
            found["failures"].append((our, float(rng.random() < world.failures[our] * times)))
            found["latency"].append((our, float(milliseconds * (world.slower if our else 1))))
            found["unsure"].append((our, float(rng.random() < min(world.unsure[our] * times, 0.95))))
            if told:
                found["wrong"].append((our, float(rng.random() < min(world.wrong[our] * times, 0.95))))
            had += our
    return {name: Seen.of(pairs) for name, pairs in found.items()}


def _clients(
    world: World, share: float, rng: np.random.Generator
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Of each client, whether it is with the version that is tried, and how hard its requests are."""
    sides = rng.random(max(world.clients, 1)) < share
    if world.clients and share and not sides.any():
        sides[rng.integers(len(sides))] = True
    harder = rng.gamma(4, 0.25, size=len(sides))  # 1 on average, half as much more or less
    return sides, harder


def _traffic(clients: int) -> NDArray[np.float64]:
    weights = 1 / np.arange(1, clients + 1)
    shares: NDArray[np.float64] = weights / weights.sum()
    return shares


def tried(world: World, requests: int, share: float, rng: np.random.Generator) -> tuple[Action, int]:
    """What becomes of the version, and after how many of its requests."""
    found = drawn(world, requests, share, rng)
    if not share:
        del found["latency"]  # nobody waits for a shadow
    plan = Plan(requests, 24, "go_on", share, STEPS)
    champion = int((~found["failures"].our).sum())
    said = verdict(found, plan, 1.0, champion=champion)
    over = (count for count, each in said.path if any(each[s.name] >= s.enough for s in said.signals))
    return said.action, next(over, said.ours)


def main(argv: Sequence[str] | None = None) -> None:
    """Print how many of the runs end with the version taken back, in the shadow and as a canary."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--share", type=float, default=0.1)
    parser.add_argument("--rows", type=int, default=0)
    given = parser.parse_args(argv)
    if given.rows:
        look.measure(given.rows)
        return
    table = Table(title=f"{given.runs} runs of {given.requests} requests each; {machine()}")
    for name in (
        "version",
        "shadow: taken back",
        "after",
        f"canary of {given.share:.0%}: taken back",
        "after",
    ):
        table.add_column(name, justify="left" if name == "version" else "right")
    for number, world in enumerate(WORLDS):
        cells = []
        for share in (0.0, given.share):
            rng = np.random.default_rng((number, int(share * 100)))
            runs = [tried(_of(world, share), given.requests, share, rng) for _ in range(given.runs)]
            ended = [after for action, after in runs if action == "end"]
            cells += [f"{len(ended)} of {given.runs}", f"{median(ended):.0f}" if ended else ""]
        table.add_row(world.title, *cells)
    Console(width=120).print(table)


def _of(world: World, share: float) -> World:
    return world if share else replace(world, clients=0)


if __name__ == "__main__":
    main()
