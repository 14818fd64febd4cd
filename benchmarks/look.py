"""What one look at a trial costs, in a lake with so many requests since its step began.

    python -m benchmarks.canary --rows 1000000

A canary has half of the requests of a small loop, of an average of two texts in ten of them; for a fifth
somebody says what was right. Each look is a process of its own that starts with the lake open. Requests are
written by the hour, as the model server's log is compacted.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from benchmarks.sides import cpu_seconds, in_a_process, machine, report_cost
from lakeloop.lake.tables import FEEDBACK, OBSERVATIONS, PREDICTIONS
from lakeloop.registry.registry import Registry
from lakeloop.registry.trials import Trial
from lakeloop.spec.loop import LoopSpec
from lakeloop.stages.frame.session import StageContext
from lakeloop.stages.release.release import release
from lakeloop.stages.release.standing import trial_standing
from lakeloop.stages.training.dataset import dataset
from lakeloop.stages.training.evaluate import evaluate
from tests.support.small_loop import DAYS, mart_rows, publish, small_context, small_loop, trained

PIECE = 40_000
"""Requests in one file: of an hour, when a day has a million."""
PHASES: dict[str, dict[str, Any]] = {
    "shadow": {"shadow": {"requests": 1_000_000, "hours": 48}},
    "canary": {"canary": {"shares": [0.5], "requests": 1_000_000, "hours": 48}},
}


def measure(rows: int) -> None:
    """Print what a look costs, of a shadow and of a canary."""
    table = Table(title=f"a look at a trial with {rows:,} requests; {machine()}")
    for name in ("step", "seconds", "CPU s", "peak MB", "found"):
        table.add_column(name, justify="left" if name in ("step", "found") else "right")
    for phase in PHASES:
        with tempfile.TemporaryDirectory(prefix="lakeloop-bench-") as folder:
            tried(Path(folder), phase, rows)
            cost = in_a_process("benchmarks.look", [phase, folder], {})
            seconds, said = f"{cost.found['seconds']:.1f}", str(cost.found["said"])
            table.add_row(phase, seconds, f"{cost.work_seconds:.1f}", f"{cost.peak_mb:.0f}", said)
    Console(width=150).print(table)


def loop_of(phase: str) -> LoopSpec:
    """A small loop whose next version is put there."""
    return small_loop(deploy=PHASES[phase])


def tried(root: Path, phase: str, rows: int) -> None:
    """A lake with a champion and a version beside it that have had `rows` requests together."""
    context = small_context(root, loop_of(phase))
    for number, day in enumerate(DAYS[:2]):
        publish(context, day, mart_rows(day, 60))
        dataset(context, day)
        trained(context, "baseline", day, seed=17 + number, confuse={"tech": "sports"})
        trained(context, "finetune", day, seed=17 + number)
        evaluate(context, day)
        release(context, day)
    trial = Registry(context.lake).read().trial
    assert trial is not None
    rng = np.random.default_rng(7)
    for first in range(0, rows, PIECE):
        written(context, trial, first, min(PIECE, rows - first), rng)


def written(context: StageContext, trial: Trial, first: int, count: int, rng: np.random.Generator) -> None:
    """Write requests from number `first` on, as the model server does."""
    shadow, batch = trial.phase == "shadow", f"{first:012d}"
    asked = [one for number in range(first, first + count) for one in [number] * (1 + (number % 10 < 2))]
    when = [trial.began_at + timedelta(microseconds=50 * number) for number in asked]
    common = {
        "partition": [f"{at:%Y-%m-%d}" for at in when],
        "batch_id": [batch] * len(asked),
        "request_id": [f"{number:032x}" for number in asked],
        "text_sha256": [f"{number:064x}" for number in asked],
        "latency_ms": (20 * np.exp(0.5 * rng.standard_normal(len(asked)))).tolist(),
        "answer": list(answers(len(asked), rng)),
    }
    ours = [number % 2 == 1 for number in asked]
    versions = [trial.version if our and not shadow else (trial.over or "") for our in ours]
    predicted = {
        **common,
        "predicted_at": when,
        "model_version": versions,
        "text": ["a text of some words that a person has written"] * len(asked),
        "beside": [None] * len(asked),
    }
    context.lake.append_once("predictions", pa.table(predicted, PREDICTIONS), batch_id=batch)
    if shadow:
        none = [None] * len(asked)
        observed = {**common, "observed_at": when, "model_version": [trial.version] * len(asked)}
        observed |= {"role": ["shadow"] * len(asked), "error": none}
        context.lake.append_once("observations", pa.table(observed, OBSERVATIONS), batch_id=batch)
    told = range(0, len(asked), 5)
    feedback = {
        **{name: [common[name][place] for place in told] for name in ("partition", "batch_id", "request_id")},
        "received_at": [when[place] + timedelta(minutes=1) for place in told],
        "truth": [json.dumps("sports" if rng.random() < 0.9 else "tech") for _ in told],
        "source": ["desk" for _ in told],
    }
    context.lake.append_once("feedback", pa.table(feedback, FEEDBACK), batch_id=batch)


def answers(count: int, rng: np.random.Generator) -> Iterator[str]:
    """As JSON, each with other scores."""
    for score in rng.uniform(0.4, 1.0, count).tolist():
        rest = (1 - score) / 2
        yield json.dumps(
            {"label": "sports", "score": score, "scores": {"sports": score, "business": rest, "tech": rest}}
        )


def main(argv: Sequence[str] | None = None) -> None:
    """Look once, and report what that has cost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("phase", choices=list(PHASES))
    parser.add_argument("folder", type=Path)
    given = parser.parse_args(argv)
    context = small_context(given.folder, loop_of(given.phase))
    imported, began = cpu_seconds(), time.monotonic()
    found = trial_standing(context)
    seconds = time.monotonic() - began
    assert found is not None
    said = f"{found.verdict.action}: " + "; ".join(
        f"{each.name} {each.bad_ours}/{each.ours} {each.bad_theirs}/{each.theirs} {each.evidence:.12g}"
        for each in found.verdict.signals
    )
    report_cost(imported, {"seconds": seconds, "said": said})


if __name__ == "__main__":
    main()
