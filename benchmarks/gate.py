"""What the gate lets through: models of known quality, answered at random, judged and decided upon for real.

    python -m benchmarks.gate [--runs 1000] [--rows 3000] [--metric accuracy] [--case equal]

The answers are drawn, all that follows is the product's: `evaluation.paired` compares, `gate.decide` decides.
Beside it the gate without a paired test, which compares two scores. `equal`: a candidate as good as the
champion, of the same days and size; also the best of five such. `better`: 2 points better, alone and beside
one that is not. `hidden`: better on the whole, 10 points worse on a slice of a tenth of the rows. At the end
a hundred days, each with a newer candidate half a point worse than the champion; what is shown is how much
quality is lost.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.sides import machine
from lakeloop.evaluation.judge import Contender, Judged
from lakeloop.evaluation.paired import compare_all
from lakeloop.evidence import Evidence, ModelEvidence
from lakeloop.gate.decide import Decision, best_of, decide
from lakeloop.measures.base import Outcomes
from lakeloop.measures.registry import metric_of
from lakeloop.records import now
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.train import BEST, CHAMPION
from lakeloop.tasks.base import Task
from lakeloop.tasks.classification import Label
from lakeloop.tasks.registry import task_of

if TYPE_CHECKING:
    from lakeloop.artifact import ArtifactDescription

CLASSES = 10
ACCURACY = 0.9
SHARED = 0.5
"""Share of the rows that both models find equally hard: they err on the same rows more than by chance."""
DAYS = 100
EACH = 100
"""Runs after which it is told how far it is."""


@dataclass(frozen=True)
class Model:
    """A model of known quality: the chance of each row to be answered right."""

    name: str
    right: NDArray[Any]
    version: str | None = None
    day: str = "2026-01-01"


class Bench:
    """Rows with right answers, and models that are drawn on them."""

    def __init__(self, rows: int, metric: str, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.loop = _loop(metric)
        self.task: Task = task_of(self.loop.task)
        self.metric = metric_of("classification", metric)
        self.labels = tuple(
            Label.model_construct(label=f"c{number}", score=1.0, scores={}) for number in range(CLASSES)
        )
        self.truth = self.random.integers(0, CLASSES, rows)
        self.rows = pa.table(
            {
                "text": [f"a text {'x' * (n % 37)}" for n in range(rows)],
                "label": [f"c{n}" for n in self.truth],
            }
        )
        self.hard = self.random.random(rows)

    def quality(self, accuracy: float, where: NDArray[Any] | None = None, there: float = 0.0) -> NDArray[Any]:
        """The chance of each row to be right, `accuracy` in the mean; `there` for the rows `where`."""
        chance = np.full(len(self.truth), accuracy)
        if where is not None:
            chance[where] = there
        return chance

    def judged(self, model: Model) -> Judged:
        """The model's answers, drawn: half of what decides a row is the row's own, half the model's."""
        luck = np.where(
            self.random.random(len(self.truth)) < SHARED, self.hard, self.random.random(len(self.truth))
        )
        other = (self.truth + self.random.integers(1, CLASSES, len(self.truth))) % CLASSES
        answer = np.where(luck < model.right, self.truth, other)
        outputs = np.eye(CLASSES)[answer]
        answers = tuple(self.labels[n] for n in answer)
        contender = Contender(model.name, f"{model.name:0<64}", f"models/{model.name}", model.version)
        description = cast("ArtifactDescription", None)  # comparing reads answers alone
        return Judged(contender, description, answers, Outcomes(self.truth, answer, outputs), "a" * 64, 1.0)

    def decision(
        self, candidates: Sequence[Model], others: Sequence[Model], *, paired: bool = True
    ) -> Decision:
        """What the gate says of the best of `candidates` beside the champion and any best version."""
        models = (*candidates, *others)
        judged = {model.name: self.judged(model) for model in models}
        found = {model.name: self._evidence(model, judged[model.name]) for model in models}
        offered = tuple(found[model.name] for model in candidates)
        leader = best_of(offered, self.metric).name
        every = tuple(judged.values())
        compared = compare_all(judged[leader], every, self.rows, self.task, self.metric) if paired else ()
        return decide(
            Evidence(
                loop=self.loop.name,
                partition=candidates[0].day,
                task="classification",
                metric=self.metric.name,
                dataset="datasets/d",
                dataset_digest="d" * 64,
                rows=self.rows.num_rows,
                rows_digest="a" * 64,
                candidates=offered,
                champion=found[CHAMPION],
                best=found.get(BEST) if paired else None,
                comparisons=compared,
                leader=leader,
                made_at=now(),
                run_id="benchmark",
            ),
            self.loop,
        )

    def _evidence(self, model: Model, judged: Judged) -> ModelEvidence:
        return ModelEvidence(
            name=model.name,
            version=model.version,
            digest=judged.contender.digest,
            folder=judged.contender.folder,
            method="drawn",
            rows_digest="a" * 64,
            scores={self.metric.name: self.metric.compute(judged.outcomes)},
            newest_day=model.day,
            bytes=1,
        )


def equal(bench: Bench) -> list[Model]:
    return [Model("candidate", bench.quality(ACCURACY))]


def five_equal(bench: Bench) -> list[Model]:
    return [Model(f"candidate-{number}", bench.quality(ACCURACY)) for number in range(5)]


def better(bench: Bench) -> list[Model]:
    return [Model("candidate", bench.quality(ACCURACY + 0.02))]


def better_and_equal(bench: Bench) -> list[Model]:
    return [*better(bench), Model("baseline", bench.quality(ACCURACY))]


def hidden(bench: Bench) -> list[Model]:
    lost = bench.truth == 0  # a tenth of the rows
    return [Model("candidate", bench.quality(ACCURACY + 0.04, lost, ACCURACY - 0.1))]


def lost_by_small_steps(
    runs: int, rows: int, metric: str, say: Callable[[str], None], *, paired: bool
) -> float:
    """Quality lost after the days, the mean of some runs; each is told as it comes."""
    lost = []
    for run in range(runs):
        quality, best, champion = ACCURACY, "v1", "v1"
        versions = {"v1": (ACCURACY, "2026-01-01")}
        for day in range(1, DAYS + 1):
            bench = Bench(rows, metric, seed=run * DAYS + day)
            offered = versions[champion][0] - 0.005
            others = [Model(CHAMPION, bench.quality(versions[champion][0]), champion, versions[champion][1])]
            if best != champion:
                others.append(Model(BEST, bench.quality(versions[best][0]), best, versions[best][1]))
            candidate = Model(
                "candidate", bench.quality(offered), day=f"2026-{1 + day // 28:02}-{1 + day % 28:02}"
            )
            decision = bench.decision([candidate], others, paired=paired)
            if decision.accepted:
                champion = f"v{day + 1}"
                versions[champion] = (offered, candidate.day)
                best = decision.best or champion
                quality = offered
        lost.append(ACCURACY - quality)
        by = "the paired test" if paired else "two scores"
        say(f"walk {run + 1} by {by}: lost {100 * lost[-1]:.1f} points")
    return float(np.mean(lost))


def _loop(metric: str) -> LoopSpec:
    return LoopSpec.model_validate(
        {
            "name": "drawn",
            "source": {
                "kind": "files",
                "path": "drops/{partition}.csv",
                "key": "id",
                "columns": {"id": "string", "text": "string", "label": "string"},
            },
            "task": {
                "kind": "classification",
                "text": "text",
                "label": "label",
                "labels": [f"c{number}" for number in range(CLASSES)],
            },
            "evaluate": {"metric": metric},
            "gate": {"min_score": 0.0} if metric != "log_loss" else {},
        }
    )


CASES: dict[str, Callable[[Bench], list[Model]]] = {
    "equal": equal,
    "the best of five, all equal": five_equal,
    "2 points better": better,
    "2 points better, beside an equal one": better_and_equal,
    "better, 10 points worse on a slice": hidden,
}
SIDES = (False, True)
"""Without and with a paired test."""


def accepted(title: str, runs: int, rows: int, metric: str, say: Callable[[str], None]) -> list[int]:
    """How many candidates of a case are accepted, by two scores and by the paired test; told as they come."""
    counts, started = [0, 0], time.monotonic()
    for run in range(runs):
        for side, paired in enumerate(SIDES):
            bench = Bench(rows, metric, seed=run)
            champion = Model(CHAMPION, bench.quality(ACCURACY), "v1")
            counts[side] += (
                bench.decision(CASES[title](bench), [champion], paired=paired).accepted is not None
            )
        if (done := run + 1) % EACH == 0 or done == runs:
            took = time.monotonic() - started
            say(f"{title}: of {done} {counts[0]} by two scores, {counts[1]} by the paired test, {took:.0f} s")
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--metric", default="accuracy")
    parser.add_argument("--case", choices=CASES, action="append", help="default: all")
    parser.add_argument("--walks", type=int, default=10, help="walks of a hundred days; 0: none")
    options = parser.parse_args()
    console = Console()
    table = Table(title=f"Of {options.runs} candidates accepted, {options.rows} rows, {options.metric}")
    for column in ("candidate", "two scores", "paired test"):
        table.add_column(column, justify="left" if column == "candidate" else "right")
    for title in options.case or CASES:
        counts = accepted(title, options.runs, options.rows, options.metric, console.print)
        table.add_row(title, *(f"{count} ({100 * count / options.runs:.1f} %)" for count in counts))
    if options.walks:
        lost = [
            lost_by_small_steps(options.walks, options.rows, options.metric, console.print, paired=paired)
            for paired in SIDES
        ]
        table.add_row(
            f"lost in {DAYS} days of half a point each", *(f"{100 * each:.2f} points" for each in lost)
        )
    console.print(table, machine())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
