"""The whole loop on an S3 server, killed again and again and gone on with; the server is killed too, once.

    python -m tests.faults.store_kills [--kills 40] [--seed 1]

A try is a forked copy of this process that runs the loop; it is killed within the n-th thing that it writes
to the store, or at a random time. Counted in the end: rows lost and doubled, beside those of a lake on a disk
that was left alone.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import pyarrow as pa

from lakeloop.attempt import Attempt
from lakeloop.errors import TransientError
from lakeloop.lake.delta import DeltaStore
from lakeloop.lake.object_folders import ObjectFolders
from lakeloop.lake.store import Lake
from lakeloop.lake.tables import PREDICTIONS
from lakeloop.registry.registry import Registry
from lakeloop.settings import Settings
from lakeloop.stages.frame.run import run
from lakeloop.stages.frame.session import StageContext
from lakeloop.stages.watch.maintain import maintain
from tests.support.command import LOOP as TICKETS
from tests.support.object_store import ServerProcess

ROOT = Path(__file__).resolve().parents[2]
DAYS = ("2026-11-16", "2026-11-17")
LOOP = f"""{TICKETS}train:
  candidates: [{{name: words, method: classical}}]
  min_rows: 100
gate:
  min_score: 0.4
"""
ROWS = 120
"""Of a day, beside a line that is broken, one that is there twice and one with an unknown answer."""
BATCHES, OF_A_BATCH = 12, 10
"""Of answers, as a server writes them."""
_WRITE_SECONDS = 0.05
_WRITES = 12
"""A try that is killed in a write is killed in one of the first so many."""
_LONGEST_TRY_SECONDS = 8.0
_PATIENCE = 300.0


def make_project(folder: Path) -> Path:
    """A project with one loop, two days of drops and the real dbt project and trainings."""
    ignored = shutil.ignore_patterns("target", "logs", "models", "__pycache__")
    for name in ("dbt", "training"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    (folder / "loops/tickets").mkdir(parents=True)
    (folder / "loops/tickets/loop.yaml").write_text(LOOP)
    (folder / "data").mkdir()
    draw = random.Random(7)
    for day in DAYS:
        lines = [
            _row(f"{day}-{number}", ("billing", "technical")[number % 2], draw) for number in range(ROWS)
        ]
        lines += [lines[0], '{"id": "broken', _row(f"{day}-x", "gardening", draw)]
        (folder / "data" / f"{day}.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def _row(key: str, team: str, draw: random.Random) -> str:
    words = {"billing": "invoice refund price card", "technical": "crash error screen login"}
    said = draw.choices(words.get(team, "roses tulips").split(), k=4)
    return json.dumps({"id": key, "text": " ".join([*said, f"{draw.random():.6f}", key]), "team": team})


@dataclass(frozen=True)
class Left:
    """What is in a lake in the end."""

    rows: Counter[tuple[str, str]]
    """Day and key of each row of the mart -> how often it is there."""
    tables: dict[str, int]
    """Rows of the other tables of a day."""
    answers: Counter[str]
    versions: list[str]
    champion: str
    """Digest of the model, of the artifact that was fetched whole."""


@dataclass
class Killer:
    """Starts tries and kills them."""

    settings: Settings
    draw: random.Random
    killed: Counter[str] = field(default_factory=Counter)
    failed: list[int] = field(default_factory=list)
    """Exit codes of tries that ended by themselves with an error."""

    def kill(self, times: int, work: Callable[[Settings], None], at_times: int = 0) -> bool:
        """Kill so many tries, `at_times` of them at a random time; True when one came to its end before."""
        aims = [number < at_times for number in range(times)]
        self.draw.shuffle(aims)
        for at_a_time in aims:
            life = self.draw.uniform(0.5, _LONGEST_TRY_SECONDS) if at_a_time else _PATIENCE
            write = 0 if at_a_time else self.draw.randint(1, _WRITES)
            status = self._await(self._start(work, write), life)
            if os.WIFSIGNALED(status):
                self.killed["at a time" if at_a_time else "in a write"] += 1
            elif (code := os.waitstatus_to_exitcode(status)) == 0:
                return True
            else:
                self.failed.append(code)
        return False

    def finish(self, work: Callable[[Settings], None]) -> int:
        """Let tries come to their end, as often as the errors say that another makes sense; how many."""
        for number in range(1, 6):
            code = os.waitstatus_to_exitcode(self._await(self._start(work, 0), _PATIENCE))
            if code == 0:
                return number
            self.failed.append(code)
        raise AssertionError(f"it does not come to an end: {self.failed}")

    def through_a_crash(self, server: ServerProcess, work: Callable[[Settings], None]) -> int:
        """A try whose store is killed at a random time and comes back a second later; its exit code."""
        child = self._start(work, 0)
        time.sleep(self.draw.uniform(0.5, 3.0))
        server.kill()
        time.sleep(1.0)
        server.start()
        code = os.waitstatus_to_exitcode(self._await(child, _PATIENCE))
        self.failed += [code] if code else []
        return code

    def _start(self, work: Callable[[Settings], None], write: int) -> int:
        child = os.fork()
        if child == 0:
            _try(self.settings, work, write, self.draw.uniform(0, _WRITE_SECONDS))
        self.draw.random()
        return child

    def _await(self, child: int, life: float) -> int:
        deadline = time.monotonic() + life
        while time.monotonic() < deadline:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                return status
            time.sleep(0.01)
        os.kill(child, signal.SIGKILL)
        return os.waitpid(child, 0)[1]


def _try(settings: Settings, work: Callable[[Settings], None], write: int, after: float) -> NoReturn:
    """In the copied process."""
    code = 1
    try:
        if write:
            _die_in(write, after)
        work(settings)
        code = 0
    except TransientError as error:
        sys.stderr.write(f"{error}\n")
        code = error.exit_code
    except BaseException:  # noqa: BLE001 - nothing may come back into the copied process
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _die_in(write: int, after: float) -> None:
    """Kill this process so many seconds after its `write`-th write to the store began."""
    begun = 0

    def watched(method: Any) -> Any:
        @functools.wraps(method)
        def writing(*arguments: Any, **named: Any) -> Any:
            nonlocal begun
            begun += 1
            if begun == write:
                threading.Timer(after, os.kill, (os.getpid(), signal.SIGKILL)).start()
            return method(*arguments, **named)

        return writing

    for owner, name in (
        (DeltaStore, "commit"),
        (DeltaStore, "commit_files"),
        (ObjectFolders, "_send"),
        (ObjectFolders, "_settle"),
    ):
        setattr(owner, name, watched(getattr(owner, name)))


def whole_loop(settings: Settings) -> None:
    """From the drops to the champion."""
    run(StageContext.open("tickets", settings, Attempt.local()), DAYS)


def answers(settings: Settings) -> None:
    """A server's log of answers: batches that may be there already are sent again."""
    lake = Lake.from_settings(settings, StageContext.open("tickets", settings).loop)
    for number in range(BATCHES):
        rows = [_answer(f"{number}-{each}") for each in range(OF_A_BATCH)]
        lake.append_once(
            "predictions", pa.Table.from_pylist(rows, PREDICTIONS), batch_id=f"{DAYS[0]}-{number}"
        )


def _answer(key: str) -> dict[str, Any]:
    texts = {f.name: key for f in PREDICTIONS if pa.types.is_string(f.type)}
    return {**texts, "partition": DAYS[0], "batch_id": f"{DAYS[0]}-{key.partition('-')[0]}"}


def upkeep(settings: Settings) -> None:
    maintain(StageContext.open("tickets", settings, Attempt.local()), DAYS[-1])


def look(settings: Settings, into: Path) -> Left:
    """What a lake holds; the champion is fetched `into` a folder, by which it is verified."""
    context = StageContext.open("tickets", settings, Attempt.local())
    lake, history = context.lake, Registry(context.lake).read()
    champion = history.alias("champion")
    assert champion is not None
    lake.files.fetch(champion.folder_name, into)
    mart = lake.read("mart", columns=["partition", "row_id"]).to_pylist()
    return Left(
        Counter((row["partition"], row["row_id"]) for row in mart),
        {table: lake.read(table).num_rows for table in ("raw", "quarantine", "staging")},
        Counter(lake.read("predictions", columns=["request_id"])["request_id"].to_pylist()),
        sorted(history.versions),
        champion.digest,
    )


@dataclass(frozen=True)
class Proof:
    """What became of a lake on S3 that was killed at again and again."""

    killed: Counter[str]
    failed: list[int]
    left: Left
    alone: Left | None
    """A lake on a disk that was left alone, when one was asked for."""

    @property
    def lost(self) -> int:
        """Rows of the drops, and answers, that are not there."""
        return (_ROWS - self.left.rows).total() + (_ANSWERS - self.left.answers).total()

    @property
    def doubled(self) -> int:
        return (self.left.rows - _ROWS).total() + (self.left.answers - _ANSWERS).total()

    @property
    def said(self) -> str:
        said = (
            f"{dict(self.killed)} tries killed, and the server once; tries that ended with an error:"
            f" {self.failed}; {self.left.rows.total()} rows and {self.left.answers.total()} answers there,"
            f" lost {self.lost}, doubled {self.doubled}; versions {self.left.versions}"
        )
        return (
            said
            if self.alone is None
            else f"{said}; as a lake that was left alone: {self.left == self.alone}"
        )


_ROWS = Counter((day, f"{day}-{number}") for day in DAYS for number in range(ROWS))
_ANSWERS = Counter(f"{number}-{each}" for number in range(BATCHES) for each in range(OF_A_BATCH))


def prove(folder: Path, kills: int, seed: int, *, alone: bool) -> Proof:
    """Run the loop in `folder` on S3 with `kills` and a crash of the server, and `alone` on a disk too."""
    project = make_project(folder / "project")
    (folder / "s3").mkdir()
    server = ServerProcess(folder / "s3")
    disk = Settings(root=project, home=folder / "alone", cache=folder / "cache")
    remote = Settings(
        root=project,
        home=folder / "home",
        cache=folder / "cache",
        lake="s3://lake/loops",
        storage_options=server.s3.variables,
    )
    killer = Killer(remote, random.Random(seed))
    try:
        server.start()
        server.s3.bucket("lake")
        of_the_loop = kills * 2 // 3
        killer.kill(of_the_loop, whole_loop, at_times=of_the_loop // 3)
        killer.through_a_crash(server, whole_loop)
        killer.finish(whole_loop)
        killer.kill(kills - of_the_loop, answers)
        killer.finish(answers)
        killer.finish(upkeep)
        for work in (whole_loop, answers) if alone else ():
            Killer(disk, killer.draw).finish(work)
        beside = look(disk, folder / "disk") if alone else None
        return Proof(killer.killed, killer.failed, look(remote, folder / "remote"), beside)
    finally:
        server.stop()


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--alone", action="store_true", help="compare with a lake on a disk")
    asked = parser.parse_args(arguments)
    os.environ |= {"WANDB_MODE": "disabled", "LAKELOOP_TRAINING_THREADS": "1"}
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="lakeloop-bench-") as folder:
        proof = prove(Path(folder), asked.kills, asked.seed, alone=asked.alone)
    sys.stdout.write(f"{proof.said}; {time.monotonic() - began:.0f} s\n")
    sys.stdout.write(
        json.dumps({"killed": proof.killed.total(), "lost": proof.lost, "doubled": proof.doubled})
    )
    return 1 if proof.lost or proof.doubled else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
