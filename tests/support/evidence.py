"""Evidence for tests of what reads it: models with the scores that a test gives them, on the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np

from lakeloop.datasets.dealing import SPLITS
from lakeloop.datasets.freeze import DatasetCard
from lakeloop.evidence import Comparison, Evidence, Example, Mistake, ModelEvidence, SliceChange
from lakeloop.tasks.base import Grid, Task
from lakeloop.tasks.labels import label_grid

ROWS_DIGEST = "a" * 64


def model(name: str, scores: dict[str, float], digest: str = "", **fields: Any) -> ModelEvidence:
    """A model; its digest begins with its name unless one is given."""
    return ModelEvidence(
        **{
            "name": name,
            "digest": digest or f"{name:0<64}",
            "folder": f"candidates/{name}",
            "method": "keywords",
            "rows_digest": ROWS_DIGEST,
            "scores": scores,
            **fields,
        }
    )


def evidence(*candidates: ModelEvidence, champion: ModelEvidence | None = None, **fields: Any) -> Evidence:
    """What an evaluation of these models on 445 rows found; the first candidate leads unless told."""
    return Evidence(
        **{
            "loop": "small",
            "partition": "2026-11-16",
            "task": "classification",
            "metric": next(iter(candidates[0].scores)),
            "dataset": "datasets/d",
            "dataset_digest": "d" * 64,
            "rows": 445,
            "rows_digest": ROWS_DIGEST,
            "candidates": candidates,
            "champion": champion,
            "leader": candidates[0].name,
            "made_at": datetime(2026, 11, 22, tzinfo=UTC),
            "run_id": "run",
            **fields,
        }
    )


def comparison(other: str = "champion", advantage: float = 0.01, **fields: Any) -> Comparison:
    """The first candidate beside `other`, with an interval of 0.01 around the advantage."""
    return Comparison(
        **{
            "candidate": "finetune",
            "other": other,
            "metric": "macro_f1",
            "test": "paired bootstrap",
            "rows": 445,
            "gained": 20,
            "lost": 10,
            "advantage": advantage,
            "low": advantage - 0.01,
            "high": advantage + 0.01,
            "p_better": 0.04,
            "p_worse": 0.96,
            **fields,
        }
    )


def of_many_classes(classes: int = 150, rows_each: int = 20) -> Evidence:
    """Three candidates, a champion and a best version on `classes` classes.

    Class n is taken for the next one, or the one after that; texts and names are long, as real ones are.
    """
    names = tuple(f"class {number:03d} of a service desk" for number in range(classes))
    models = [
        model(name, {"macro_f1": score, "accuracy": score, "log_loss": 1 - score, **_COSTS}, **fields)
        for name, score, fields in (
            ("finetune", 0.9123, {"validation": {"macro_f1": 0.92}}),
            ("lora", 0.9012, {}),
            ("baseline", 0.8456, {}),
            ("champion", 0.9034, {"version": "v12", "digest": "c" * 64}),
            ("best-version", 0.9101, {"version": "v9", "digest": "b" * 64}),
        )
    ]
    judged = [
        each.model_copy(update={"method": "lora", "tables": _tables(names, rows_each, at + 1)})
        for at, each in enumerate(models)
    ]
    text = "The printer on the third floor does not answer, and nobody knows why that is so. " * 4
    mistakes = [
        Mistake(
            row_id=f"2026-11-16-{number}",
            text=text[:280],
            expected=f"{names[number]} (1.2%)",
            answered=f"{names[number + 1]} (97.1%)",
            error=4.4 - number / 10,
        )
        for number in range(min(20, classes - 1))
    ]
    changes = [
        SliceChange(
            name=f"answer {name}", rows=rows_each, gained=number % 4, lost=number % 9, p_worse=p_worse
        )
        for number, (name, p_worse) in enumerate(zip(names, [0.01, 0.5] * classes, strict=False))
    ]
    slices = sorted(changes, key=lambda each: -each.loss)
    return evidence(
        *judged[:3],
        champion=judged[3],
        best=judged[4],
        rows=classes * rows_each,
        comparisons=(
            comparison("champion", 0.0089, slices=slices),
            comparison("best-version", 0.0022, slices=slices, p_better=0.3, p_worse=0.7),
        ),
        untested=names[:25],
        leaked=0,
        wrong=classes * 3,
        mistakes=mistakes,
        error="-ln(probability of the right label)",
        examples=[
            Example(expected=names[n], answered=names[n + 1], row_id=f"r{n}", text=text[:280])
            for n in range(classes - 1)
        ],
    )


_COSTS = {"texts_per_second": 812.4, "latency_ms": 3.41, "megabytes": 91.2}


def _tables(names: Sequence[str], rows_each: int, worse: int) -> tuple[Grid, ...]:
    confusion = np.zeros((len(names), len(names)), dtype=np.int64)
    for number in range(len(names)):
        lost = min(rows_each // 2, worse + number % 7)
        confusion[number, number] = rows_each - lost
        confusion[number, (number + 1) % len(names)] += lost - lost // 3
        confusion[number, (number + 2) % len(names)] += lost // 3
    right, rows, claimed = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    return (
        label_grid(names, right, rows, claimed),
        Grid(
            title="Confusion",
            kind="confusion",
            columns=("label", *names),
            rows=tuple((name, *map(int, row)) for name, row in zip(names, confusion, strict=True)),
            note="Row: the right label. Column: the answer.",
        ),
    )


def card_of(task: Task, targets: Sequence[Any], days: int = 3) -> DatasetCard:
    """A data set of so many days, whose splits all have `targets`."""
    profile = task.profile(targets)
    first = date(2024, 1, 1)
    return DatasetCard(
        digest="d" * 64,
        task={"kind": task.kind},
        target=task.target,
        rows=dict.fromkeys(SPLITS, len(targets)),
        profiles=dict.fromkeys(SPLITS, profile),
        duplicates=0,
        partitions={str(first + timedelta(days=number)): "e" * 64 for number in range(days)},
    )
