"""Answers of a task that a data set cannot teach, or cannot test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import pyarrow as pa

from lakeloop.datasets.dealing import SplitName
from lakeloop.datasets.freeze import DatasetCard
from lakeloop.plural import few
from lakeloop.spec.tasks.base import TaskBase


class Missing(NamedTuple):
    """Answers without rows; none of tasks whose answers are numbers or texts."""

    unlearnt: dict[str, int]
    """Answer that no training row has -> times that validation and test rows have it."""
    untested: dict[str, int]
    """Answer that training rows have, so often, and test rows do not."""

    @property
    def words(self) -> str:
        """In one sentence; empty where every answer has rows of both kinds."""
        said = []
        if self.unlearnt:
            names = [f"{name} ({rows} in others)" if rows else name for name, rows in self.unlearnt.items()]
            said.append(f"no training row of {few(names)}: models cannot answer it")
        if self.untested:
            names = [f"{name} ({rows} in training)" for name, rows in self.untested.items()]
            said.append(f"no test row of {few(names)}: nobody knows how it is answered")
        return "; ".join(said)


def answer_counts(tables: Mapping[SplitName, pa.Table], task: TaskBase) -> dict[SplitName, Counter[str]]:
    """How often the rows of each split have each answer of `task`."""
    found: dict[SplitName, Counter[str]] = {}
    for name, rows in tables.items():
        found[name] = Counter()
        for value in rows[task.target].value_counts() if task.asked_for else ():
            told, times = value["values"].as_py(), value["counts"].as_py()
            for answer, each in task.counted([told], normalise=False).items():
                found[name][answer] += each * times
    return found


def missing_answers(counts: Mapping[SplitName, Mapping[str, int]], task: TaskBase) -> Missing:
    """Which answers of `task` have no rows, by `answer_counts`."""
    train, validation, test = counts["train"], counts["validation"], counts["test"]
    return Missing(
        {name: validation.get(name, 0) + test.get(name, 0) for name in task.asked_for if not train.get(name)},
        {name: train[name] for name in task.asked_for if train.get(name) and not test.get(name)},
    )


def unlearnt(card: DatasetCard, task: TaskBase) -> tuple[str, ...]:
    """The answers of `task` that no training row of the data set of `card` has."""
    learnt = card.profiles["train"].shares
    return tuple(name for name in task.asked_for if not learnt.get(name))
