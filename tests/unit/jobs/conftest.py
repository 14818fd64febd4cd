"""A job that does as its config says, and orders for it."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lakeloop.jobs import JobSpec, cancel
from lakeloop.jobs.admission import Need

JOB = """
    import faulthandler, json, os, pathlib, signal, sys, time

    path = pathlib.Path(sys.argv[sys.argv.index("--config") + 1])
    order = json.loads(path.read_text())
    with (path.parent.parent / "starts").open("a") as starts:
        starts.write(f"{os.getpid()}\\n")
    if order.get("stubborn"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    (path.parent / "artifact").mkdir()  # fails when an earlier try left one
    if "pulse" in order:
        faulthandler.register(signal.SIGUSR1, file=2)
        (path.parent / "pulse").write_text(order["pulse"])
    if order.get("saves"):
        for name in ("checkpoints", "spent"):
            (path.parent / name).mkdir(exist_ok=True)
            with (path.parent / name / "tries").open("a") as tries:
                tries.write("x")
    for line in order.get("lines", ()):
        print(line, flush=True)
    time.sleep(order.get("seconds", 0))
    while "until" in order and not os.path.exists(order["until"]):
        time.sleep(0.05)
    if order.get("signal"):
        os.kill(os.getpid(), order["signal"])
    if order.get("exit"):
        sys.exit(order["exit"])
    if not order.get("silent"):
        names = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "HF_HUB_OFFLINE", *order.get("tells", ()))
        (path.parent / "result.json").write_text(json.dumps({name: os.environ[name] for name in names}))
"""


@pytest.fixture
def order(tmp_path: Path) -> Iterator[Callable[..., JobSpec]]:
    """`order(exit=64, lines=[...], seconds=1)` makes a job that does so; every job is ended afterwards."""
    package = tmp_path / "root" / "sample_jobs"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "obedient.py").write_text(textwrap.dedent(JOB))
    workdirs: set[Path] = set()

    def make(
        folder: str = "job",
        threads: int = 1,
        limit: float | None = None,
        need: Need | None = None,
        **config: Any,
    ) -> JobSpec:
        workdirs.add(tmp_path / folder)
        return JobSpec(
            job="sample_jobs.obedient",
            config=config,
            workdir=tmp_path / folder,
            root=package.parent,
            threads=threads,
            time_limit_seconds=limit,
            need=need,
        )

    yield make
    for workdir in workdirs:
        cancel(str(workdir))


@pytest.fixture
def starts(tmp_path: Path) -> Callable[[], list[int]]:
    """Process ids of all jobs that were started."""

    def read() -> list[int]:
        path = tmp_path / "starts"
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    return read
