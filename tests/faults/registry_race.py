"""Many processes that move the champion of one loop at once, while some of them are killed.

`python -m tests.faults.registry_race FOLDER --clients 16 --moves 200 --kills 40` prints what it proved.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lakeloop.artifact import open_artifact
from lakeloop.attempt import Attempt
from lakeloop.errors import ConfigurationError, FenceError
from lakeloop.registry.history import ROLLBACK
from lakeloop.registry.registry import Registry
from tests.support.serving import make_news
from tests.support.small_loop import small_context
from tests.unit.registry.test_registry import CARD

VERSIONS = 4
_MODULE = "tests.faults.registry_race"
"""Also when it is the program, whose own name is another."""


@dataclass(frozen=True)
class Proof:
    """What a race left."""

    moves: int
    killed: int
    acknowledged: int
    """Moves that a client was told of."""
    seconds: float


def race(folder: Path, *, clients: int, moves: int, kills: int, seed: int = 1) -> Proof:
    """Let `clients` processes make `moves` moves each, kill some of them meanwhile; prove what is left.

    A killed client begins anew and makes what is left of its moves.

    Raises:
        AssertionError: the history is not one line, a move that was acknowledged is not in it once, or the
            champion is not a whole version.
    """
    context = small_context(folder)
    for number in range(VERSIONS):
        Registry(context.lake).register(make_news(folder / f"model{number}", number).folder, CARD)
    Registry(context.lake).promote("v1", over=None, reason="first", cause="e1")
    started, draw, killed = time.monotonic(), random.Random(seed), 0
    running = {number: _start(folder, number, moves) for number in range(clients)}
    due = time.monotonic() + 1.0
    while running:
        time.sleep(0.02)
        for number, process in list(running.items()):
            if process.poll() is None:
                continue
            del running[number]
            if process.returncode == -signal.SIGKILL:
                running[number] = _start(folder, number, moves)
            else:
                assert process.returncode == 0, f"client {number} ended with {process.returncode}"
        if running and killed < kills and time.monotonic() > due:
            victim = draw.choice(list(running.values()))
            if victim.poll() is None:
                victim.kill()
                killed += 1
            due = time.monotonic() + draw.uniform(0.0, 0.6)
    return _proved(folder, clients, moves, killed, time.monotonic() - started)


def _start(folder: Path, number: int, moves: int) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", _MODULE, str(folder), "--client", str(number), "--moves", str(moves)]
    return subprocess.Popen(argv)


def client(folder: Path, number: int, moves: int) -> None:
    """Move the champion until the log of this client says that it was done `moves` times."""
    context = small_context(folder, attempt=Attempt(f"client-{number}"))
    registry, draw = Registry(context.lake, context.attempt), random.Random(number)
    log = folder / f"client-{number}.log"
    done = len(log.read_text().splitlines()) if log.exists() else 0
    overtaken = 0
    with log.open("a") as told:
        while done < moves:
            time.sleep(draw.uniform(0, min(1.0, 0.02 * 2**overtaken)) if overtaken else 0)
            name = f"{number}/{time.monotonic_ns()}"
            try:
                if draw.random() < 0.5:
                    registry.promote_by_hand(f"v{draw.randint(1, VERSIONS)}", reason=name, by="a client")
                else:
                    registry.rollback(name, to=f"v{draw.randint(1, VERSIONS)}")
            except FenceError:
                overtaken += 1
                continue
            except ConfigurationError:  # that one is the champion already
                continue
            overtaken = 0
            told.write(f"{name}\n")
            told.flush()
            done += 1


def _proved(folder: Path, clients: int, moves: int, killed: int, seconds: float) -> Proof:
    lake = small_context(folder).lake
    history = Registry(lake).read()
    sequences = sorted(row["sequence"] for row in lake.read("registry").to_pylist())
    assert sequences == list(range(1, len(sequences) + 1)), "two events have one place in the history"
    before = None
    for move in history.moves:
        assert move.previous == before, f"move {move.sequence} is from {move.previous}, not from {before}"
        assert move.version != before
        before = move.version
    reasons = [move.reason for move in history.moves]
    assert len(set(reasons)) == len(reasons), "a move was made twice"
    told = [
        line
        for number in range(clients)
        for line in (folder / f"client-{number}.log").read_text().splitlines()
    ]
    assert len(told) == clients * moves
    assert set(told) <= set(reasons), "a move that was acknowledged is not in the history"
    # A client that is killed between its move and its log makes one more.
    assert len(told) <= len(reasons) - 1 <= len(told) + killed
    assert any(move.cause == ROLLBACK for move in history.moves)
    champion = history.alias("champion")
    assert champion is not None
    fetched = lake.files.fetch(champion.folder_name, folder / "champion")
    open_artifact(fetched, expect=champion.digest)
    return Proof(len(history.moves), killed, len(told), seconds)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--moves", type=int, default=200)
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--client", type=int)
    given = parser.parse_args(argv)
    given.folder.mkdir(parents=True, exist_ok=True)
    if given.client is not None:
        client(given.folder, given.client, given.moves)
    else:
        proof = race(given.folder, clients=given.clients, moves=given.moves, kills=given.kills)
        sys.stdout.write(f"{proof}\n")


if __name__ == "__main__":
    main()
