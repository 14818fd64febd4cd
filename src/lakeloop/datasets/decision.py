"""Whether it is time to train. A pure function of what was published and what was tried before."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lakeloop.datasets.published import PublishedPartition, describe_days
from lakeloop.spec.train import Train


@dataclass(frozen=True)
class TrainingDecision:
    """Yes or no, with a sentence for people."""

    train: bool
    reason: str
    partition: str = ""
    """The newest published day, which names the training; empty from `decide`, and when none is published."""


@dataclass(frozen=True)
class EarlierTraining:
    """A training whose candidates were evaluated, whatever the gate decided."""

    partition: str
    """The newest day of its data set."""
    partitions: Mapping[str, str]
    """Day -> content digest of its rows in the mart."""
    config: Mapping[str, Any]
    """What decided its outcome besides the rows."""
    mart_version: int | None = None
    """The version of the mart that has its rows; None when that is not known."""


NewRows = Callable[[PublishedPartition, EarlierTraining], int]
"""How many rows of a day that was published again since a training were not in its data set."""


def all_rows(day: PublishedPartition, training: EarlierTraining) -> int:  # noqa: ARG001 - a `NewRows`
    """All of them: what is right when nobody looked."""
    return day.rows


def decide(
    published: Mapping[str, PublishedPartition],
    earlier: Sequence[EarlierTraining],
    rules: Train,
    config: Mapping[str, Any],
    new_rows: NewRows = all_rows,
) -> TrainingDecision:
    """Decide from the published days and the earlier trainings, oldest first.

    All published days count, whichever of them are new: days come in any order in a backfill. Of a day that
    was published again with another content, `new_rows` says how many rows count as new. Earlier trainings
    with another `config` do not count: when there are no others, only `min_rows` is asked for.
    """
    rows = sum(day.rows for day in published.values())
    days = f"{rows} rows published in {len(published)} partition(s)"
    if published:
        days += f", {describe_days(published)}"
    if rows < rules.min_rows:
        missing = rules.min_rows - rows
        return TrainingDecision(False, f"{days}; training needs {rules.min_rows} rows, {missing} more")
    if not earlier:
        return TrainingDecision(True, f"first training: {days}; at least {rules.min_rows} needed")
    alike = [training for training in earlier if training.config == config]
    if not alike:
        changes = describe_changes(earlier[-1].config, config)
        return TrainingDecision(
            True, f"configuration changed since the training of {earlier[-1].partition}: {changes}; {days}"
        )
    # Not simply the newest training: a person may have trained on an older day by hand since.
    best = max(reversed(alike), key=lambda training: _known_rows(published, training))
    return _decide_on_new_rows(published, best, rules, new_rows)


def describe_changes(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> str:
    """`train.method top_layers -> lora, train.epochs 4 -> 3`; keys of nested mappings are joined by dots."""
    parts = []
    for key in sorted({*old, *new}):
        before, after = old.get(key), new.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            if inner := describe_changes(before, after, f"{prefix}{key}."):
                parts.append(inner)
        elif before != after:
            parts.append(f"{prefix}{key} {before} -> {after}")
    return ", ".join(parts)


def _known_rows(published: Mapping[str, PublishedPartition], training: EarlierTraining) -> int:
    """Rows of the published days that were in the data set of `training` as they are now."""
    return sum(day.rows for day in published.values() if training.partitions.get(day.partition) == day.digest)


def _decide_on_new_rows(
    published: Mapping[str, PublishedPartition], before: EarlierTraining, rules: Train, new_rows: NewRows
) -> TrainingDecision:
    new = [day for day in published.values() if before.partitions.get(day.partition) != day.digest]
    again = {day.partition: new_rows(day, before) for day in new if day.partition in before.partitions}
    count = sum(again.get(day.partition, day.rows) for day in new)
    since = f"since the training of {before.partition}"
    if not new:
        return TrainingDecision(
            False, f"nothing new {since}: all {len(published)} published partition(s) were in its data set"
        )
    kind = "new or changed rows" if again else "new rows"
    news = f"{count} {kind} {since} ({describe_days(day.partition for day in new)})"
    if count >= rules.min_new_rows:
        return TrainingDecision(True, f"{news}; at least {rules.min_new_rows} needed")
    return TrainingDecision(False, f"{news}; {rules.min_new_rows} needed, {rules.min_new_rows - count} more")
