"""A day on a lake with a long past, beside the same day on a lake without one: CPU seconds of its stages.

    python -m benchmarks.history [--days 10000] [--rows 1000] [--logs kept unchecked] [--repeat 3]

`past` says how the days before are made, and what `--logs` means. A side is a process that runs days one
after the other, each of `rows` generated rows that are ingested, built, judged by 12 checks and published;
each stage opens the loop anew, as a task of Airflow does. The first day is not counted, so that all is
imported and dbt has parsed its models; the figures are medians of the others. Beside tables there are the
journals, work folders and drops of all days.
"""

# ruff: noqa: PLC0415  (each side imports what it needs itself)

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.checks import LOOP, ROOT
from benchmarks.past import Log, Past, lay_home
from benchmarks.sides import Cost, cpu_seconds, in_a_process, machine, report_cost
from benchmarks.stories import DAY, write_drop

STAGES = ("ingest", "transform", "validate")


def main() -> int:
    """Print the table; 1 when the goal is missed on a lake as upkeep leaves it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--days", type=int, default=10_000, help="of history")
    parser.add_argument("--rows", type=int, default=1_000, help="of a day")
    parser.add_argument("--logs", nargs="+", choices=("kept", "whole", "unchecked"), default=["kept"])
    parser.add_argument("--repeat", type=int, default=3, help="days that are run; their median is told")
    parser.add_argument("--side", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.side:
        return _run(asked.side, asked.repeat)
    table = Table("days before", "log", *STAGES, "CPU s", "to an empty lake", "most MB")
    empty, ratios = 0.0, {}
    sides: list[tuple[int, Log]] = [(0, "kept"), *((asked.days, log) for log in asked.logs)]
    for days, log in sides:
        with tempfile.TemporaryDirectory(prefix="lakeloop-bench-") as folder:
            seconds, peak = _measured(Path(folder), days, log, asked)
        whole = sum(seconds)
        empty = empty or whole
        ratios[log] = whole / empty
        figures = (*(f"{each:.2f}" for each in seconds), f"{whole:.2f}", f"{ratios[log]:.2f}")
        table.add_row(f"{days:,}", log if days else "", *figures, f"{peak:.0f}")
    Console(width=110).print(table, machine())
    return int(ratios.get("kept", 0) > 1.2)


def _measured(project: Path, days: int, log: Log, asked: argparse.Namespace) -> tuple[Sequence[float], float]:
    """Median CPU seconds of each stage, and the most memory."""
    prepare(project, asked.rows)
    if days:
        past = Past(project / ".lakeloop/lake/bench", DAY, days, log)
        past.lay()
        lay_home(project / ".lakeloop", "bench", past, project / "drops")
    cost = _in_a_process(project, asked.repeat)
    return [statistics.median(day[stage] for day in cost.found["days"]) for stage in STAGES], cost.peak_mb


def prepare(project: Path, rows: int) -> None:
    """A project with one loop, of which the day `DAY` was run."""
    loop = project / "loops/bench/loop.yaml"
    loop.parent.mkdir(parents=True)
    loop.write_text(LOOP)
    drops = project / "drops"
    write_drop(drops / f"{DAY}.jsonl", rows)
    _in_a_process(project, 0)


def _in_a_process(project: Path, repeat: int) -> Cost:
    arguments = ["--side", str(project), "--repeat", str(repeat)]
    return in_a_process("benchmarks.history", arguments, {"WANDB_MODE": "disabled"})


def _run(project: Path, repeat: int) -> int:
    """Run the first day that was not run, and `repeat` more; the first is not counted."""
    from lakeloop.settings import Settings
    from lakeloop.stages.data.ingest import ingest
    from lakeloop.stages.data.transform import transform
    from lakeloop.stages.data.validate import validate
    from lakeloop.stages.frame.session import StageContext

    settings = Settings(root=project, dbt=ROOT / "dbt")
    begun = (project / ".lakeloop/lake/bench").exists()
    days = []
    for number in range(begun, begun + repeat + 1):
        day = (date.fromisoformat(DAY) + timedelta(days=number)).isoformat()
        if not (drop := project / "drops" / f"{day}.jsonl").exists():
            shutil.copyfile(project / "drops" / f"{DAY}.jsonl", drop)
        spent = {}
        for name, stage in zip(STAGES, (ingest, transform, validate), strict=True):
            before = cpu_seconds()
            record = stage(StageContext.open("bench", settings), day)
            spent[name] = cpu_seconds() - before
            if record.status != "done":
                raise AssertionError(record.reason)
        days.append(spent)
    report_cost(found={"days": days[1:]})
    return 0


if __name__ == "__main__":
    sys.exit(main())
