"""What Airflow costs: the same loop, the same days, once without it and once through it.

Prints seconds by stage for both, the dead time between tasks, and the ratio of the whole. Each side starts
with an empty lake and a cold cache; starting Airflow and the model server is not counted on either side.

    python benchmarks/loop.py            # the loop `news`, all its days: about ten minutes on two cores
    python benchmarks/loop.py --days 2 --limit 400
    python benchmarks/loop.py --forkserver     # and once with workers from Airflow's own fork server
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from lakeloop.attempt import Attempt
from lakeloop.local import processes, stack
from lakeloop.local.airflow_api import AirflowApi
from lakeloop.local.airflow_env import airflow_environment, free_port
from lakeloop.local.drive import Outcome, TaskTime, drive
from lakeloop.records import now
from lakeloop.settings import Settings, get_settings
from lakeloop.spec.demo import DEMO_LOOP as LOOP
from lakeloop.spec.demo import PackageSource
from lakeloop.stages.frame.pending import work_left
from lakeloop.stages.frame.session import StageContext

console = Console()

STAGE_OF_TASK = {"baseline": "train-baseline", "finetune": "train-finetune"}


@dataclass(frozen=True)
class Side:
    """Seconds by stage, and of the whole."""

    stages: dict[str, float]
    seconds: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--days", type=int, default=5)
    parser.add_argument("--limit", type=int, default=None, help="take only so many stories")
    parser.add_argument(
        "--forkserver", action="store_true", help="also fork workers from Airflow's fork server"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lakeloop-bench-") as folder:

        def settings_of(side: str) -> Settings:
            return _settings(Path(folder) / side, options.days, options.limit)

        without = run_without(settings_of("plain"))
        sides = {"through Airflow": run_through(settings_of("airflow"))}
        if options.forkserver:
            os.environ.update(_forkserver())
            sides["by its fork server"] = run_through(settings_of("forkserver"))
    for name, outcome in sides.items():
        console.print(f"[bold]{name}[/]")
        if outcome.failures:
            console.print("\n".join(outcome.failures), style="red")
            return 1
        report(without, outcome)
    return 0


def _forkserver() -> dict[str, str]:
    """Settings of the scheduler: the same is loaded before a worker is forked, in a process with one thread.

    That process knows the installed packages only, nothing of the plugins folder.
    """
    sys.path.insert(0, str(get_settings().root / "plugins"))
    from lakeloop_airflow.executor import PRELOADED  # noqa: PLC0415  (it imports Airflow)

    own = (
        "airflow.executors.local_executor",
        "airflow.sdk.execution_time.supervisor",
        "airflow.sdk.execution_time.task_runner",
    )
    return {
        "AIRFLOW__SCHEDULER__MP_START_METHOD": "forkserver",
        "AIRFLOW__SCHEDULER__MP_FORKSERVER_PRELOAD": ",".join((*own, *PRELOADED)),
    }


def run_without(settings: Settings) -> Side:
    """One process runs all stages, one after the other: `lakeloop run`."""
    console.print("==> without Airflow")
    with _model_server(settings):
        began = time.monotonic()
        argv = [sys.executable, "-m", "lakeloop.cli.main", "run", LOOP, "--roll-out", *_days(settings)]
        subprocess.run(argv, env=_environment(settings), cwd=settings.root, check=True)
        seconds = time.monotonic() - began
    stages: dict[str, float] = defaultdict(float)
    for record in _context(settings).lake.ledger.entries():
        stages[record.stage] += record.provenance.seconds
    return Side(dict(stages), seconds)


def run_through(settings: Settings) -> Outcome:
    """A real scheduler runs the DAGs."""
    console.print("==> through Airflow")
    running = stack.start(settings, say=console.print)
    settings = settings.model_copy(
        update={"airflow_url": running.airflow_url, "server_url": running.server_url}
    )
    context = _context(settings)
    assert isinstance(context.loop.source, PackageSource)
    try:
        with AirflowApi(running.airflow_url) as api:
            return drive(
                api,
                LOOP,
                context.loop.source.partitions,
                pending=lambda: work_left(context),
                say=lambda _: None,
            )
    finally:
        stack.stop(settings)


def report(without: Side, outcome: Outcome) -> None:
    tasks = [task for task in outcome.tasks if task.start and task.end]
    stages: dict[str, float] = defaultdict(float)
    for task in tasks:
        stages[STAGE_OF_TASK.get(task.task_id, task.task_id)] += task.seconds
    table = Table(title="Seconds by stage, all days")
    for column in ("stage", "without Airflow", "as Airflow tasks"):
        table.add_column(column, justify="left" if column == "stage" else "right")
    for stage in dict.fromkeys([*without.stages, *stages]):
        table.add_row(stage, f"{without.stages.get(stage, 0):.1f}", f"{stages.get(stage, 0):.1f}")
    console.print(table)
    through = whole(tasks)
    dead = dead_times(tasks)
    console.print(f"machine            {os.cpu_count()} cores, {platform.machine()}, {now():%Y-%m-%d}")
    console.print(f"whole, without     {without.seconds:.1f} s")
    console.print(f"whole, through     {through:.1f} s (first task's start to last task's end)")
    console.print(f"ratio              {through / without.seconds:.2f} (goal: at most 1.3)")
    console.print(
        f"dead time          {statistics.mean(dead):.2f} s a task, median {statistics.median(dead):.2f}, "
        f"longest {max(dead):.2f}, {len(dead)} gaps (goal: at most 1 s)"
    )


def whole(tasks: Sequence[TaskTime]) -> float:
    starts = [task.start for task in tasks if task.start]
    ends = [task.end for task in tasks if task.end]
    return (max(ends) - min(starts)).total_seconds()


def dead_times(tasks: Sequence[TaskTime]) -> list[float]:
    """Seconds between the end of a task and the start of the next one of the same run.

    Only tasks that ran count: one that was skipped with its run's plan waited for nothing.
    """
    runs: dict[tuple[str, str], list[tuple[datetime, datetime]]] = defaultdict(list)
    for task in tasks:
        if task.start and task.end and task.state == "success":
            runs[task.dag_id, task.partition].append((task.start, task.end))
    gaps = []
    for spans in runs.values():
        spans.sort()
        free_at = spans[0][1]
        for start, end in spans[1:]:
            gaps.append(max(0.0, (start - free_at).total_seconds()))
            free_at = max(free_at, end)
    return gaps


def _settings(home: Path, days: int, limit: int | None) -> Settings:
    """An installation of its own with the loop cut to `days` and `limit`."""
    origin = get_settings()
    spec: dict[str, Any] = yaml.safe_load(origin.loop_file(LOOP).read_text())
    spec["source"]["days"] = days
    if limit is not None:
        spec["source"]["limit"] = limit
        spec["train"].update(min_rows=min(spec["train"]["min_rows"], limit // 2))
        spec["checks"].update(min_rows=1)
    path = home / "loops" / LOOP / "loop.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(yaml.safe_dump(spec, sort_keys=False))
    ports = free_port(), free_port()
    return get_settings(
        root=origin.root,
        home=home / "home",
        loops=home / "loops",
        airflow_url=f"http://127.0.0.1:{ports[0]}",
        server_url=f"http://127.0.0.1:{ports[1]}",
    )


def _environment(settings: Settings) -> dict[str, str]:
    return airflow_environment(settings, settings.airflow_url, settings.server_url)


def _context(settings: Settings) -> StageContext:
    return StageContext.open(LOOP, settings, Attempt.local())


def _days(settings: Settings) -> list[str]:
    source = _context(settings).loop.source
    assert isinstance(source, PackageSource)
    return ["--from", source.partitions[0], "--to", source.partitions[-1]]


@contextmanager
def _model_server(settings: Settings) -> Iterator[None]:
    port = settings.server_url.rsplit(":", 1)[1]
    argv = [sys.executable, "-m", "lakeloop.cli.main", "serve", LOOP, "--port", port]
    server = processes.start(
        "model-server",
        argv,
        env=_environment(settings),
        log=settings.home / "logs" / "model-server.log",
        cwd=settings.root,
    )
    try:
        stack.wait_for_server(server, settings.server_url)
        yield
    finally:
        processes.stop([server])


if __name__ == "__main__":
    sys.exit(main())
