"""Each kind of task on a tiny base model: its section, a data set, and rows that a trained model answers."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa

from lakeloop.spec.tasks import MultiLabel, Task, TokenClassification
from lakeloop.tasks.reading import Instance
from tests.support.beside import FEATURES, PAIRS, make_features, make_pairs
from tests.support.tiny_bert import LABELS, make_dataset, make_numbers, make_rows
from tests.support.tiny_writers import ASKED, TURNED, make_turned_dataset, make_writer
from tests.support.training_jobs import CLASSES, NUMBERS

TAGGED = TokenClassification(kind="token_classification", text="text", tags="tags", labels=("sports", "tech"))
SEVERAL = MultiLabel(kind="multi_label", text="text", label="label", labels=LABELS, separator="|")
_TAGS = {"goal": "B-sports", "team": "B-sports", "phone": "B-tech", "chip": "B-tech"}


@dataclass(frozen=True)
class TaskCase:
    """One kind of task."""

    section: Task
    make: Callable[[Path], Path]
    """Writes a data set into a folder, which is made."""
    asked: Sequence[Instance]
    bar: float
    """What the deciding metric exceeds on the validation rows, of metrics that are better when higher."""
    base: Callable[[Path], Path] | None = None
    """Writes a base model into a folder, where it is not the usual one."""

    @property
    def keys(self) -> list[str]:
        """Keys that its section says."""
        return [key for key, value in self.section if value]


def _make_numbers(folder: Path) -> Path:
    return make_dataset(folder, train=make_numbers(120, seed=1), validation=make_numbers(40, seed=2))


def make_several(folder: Path) -> Path:
    """Texts of two halves, each of which has a label."""
    return make_dataset(folder, train=_several(120, seed=1), validation=_several(40, seed=2))


def make_tagged(folder: Path) -> Path:
    """Texts in which some words are of a kind."""
    return make_dataset(folder, train=_tagged(160, seed=1), validation=_tagged(40, seed=2))


def _several(count: int, *, seed: int) -> pa.Table:
    first, second = make_rows(count, seed=seed), make_rows(count, seed=seed + 100)
    draw = random.Random(seed)
    rows = []
    for one, other in zip(first.to_pylist(), draw.sample(second.to_pylist(), count), strict=True):
        if draw.random() < 0.5:
            rows.append(one)
            continue
        text = " ".join([*one["text"].split()[:8], *other["text"].split()[:8]])
        rows.append({**one, "text": text, "label": " | ".join(sorted({one["label"], other["label"]}))})
    return pa.Table.from_pylist(rows)


def _tagged(count: int, *, seed: int) -> pa.Table:
    rows = make_rows(count, seed=seed).to_pylist()
    for row in rows:
        row["tags"] = " ".join(_TAGS.get(word, "O") for word in row["text"].split())
    return pa.Table.from_pylist(rows)


TASKS: dict[str, TaskCase] = {
    "classification": TaskCase(CLASSES, make_dataset, (Instance("the goal"), Instance("a phone")), 0.6),
    "classification, a pair": TaskCase(
        PAIRS, make_pairs, (Instance("new", "goal"), Instance("a", "chip")), 0.4
    ),
    "classification, columns beside": TaskCase(
        FEATURES, make_features, (Instance("a", None, {"amount": 9.5, "plan": "free"}), Instance("the")), 0.6
    ),
    "multi_label": TaskCase(SEVERAL, make_several, (Instance("market shares"), Instance("chip")), 0.5),
    "regression": TaskCase(NUMBERS, _make_numbers, (Instance("goal team"), Instance("market")), 0.0),
    "seq2seq": TaskCase(
        TURNED,
        make_turned_dataset,
        (Instance("red blue"), Instance("grey")),
        0.3,
        partial(make_writer, kind="bart"),
    ),
    "causal_lm": TaskCase(
        ASKED,
        make_turned_dataset,
        (Instance("red blue"), Instance("grey")),
        0.3,
        partial(make_writer, kind="llama"),
    ),
    "token_classification": TaskCase(TAGGED, make_tagged, (Instance("the goal of chip today"),), 0.4),
}
"""Name of a row of the table in docs/tasks.md -> its case."""
