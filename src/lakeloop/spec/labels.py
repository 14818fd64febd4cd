"""Answers that come from a source of their own: what it, the source of the rows and the task agree in."""

from __future__ import annotations

from collections.abc import Iterator

from lakeloop.spec.columns import ColumnType
from lakeloop.spec.contract import SourceBase
from lakeloop.spec.rules import Broken
from lakeloop.spec.tasks.base import TaskBase

APART = "-labels"
"""Ends the name under which files of the answers' source are kept apart from those of the rows'; no name of a
loop ends so."""


def types_with_labels(source: SourceBase, labels: SourceBase | None, task: TaskBase) -> dict[str, ColumnType]:
    """Declared column of the rows -> type, and of the answers' column as `labels` declares it."""
    answer = task.roles()[task.target].column
    found = labels.types.get(answer) if labels is not None else None
    return {**source.types, answer: found} if found else source.types


def wrong_labels(source: SourceBase, labels: SourceBase | None, task: TaskBase) -> Iterator[Broken]:
    """What keeps answers of `labels` from being joined with rows of `source`; keys from the top."""
    if labels is None:
        return
    role = task.roles()[task.target]
    there = ", ".join(f"{name}: {kind}" for name, kind in labels.types.items())
    if role.column not in labels.types:
        wanted = f"a column {role.column}, as task.{role.key} calls the answer; with `from` for another name"
        yield Broken("labels.columns", "no column with the answers", wanted, there)
    elif role.column in source.types and source.types[role.column] != labels.types[role.column]:
        wanted = f"{role.column}: {source.types[role.column]}, as in source.columns"
        found = f"{role.column}: {labels.types[role.column]}"
        yield Broken("labels.columns", "the answers have another type than those of the rows", wanted, found)
    if labels.key is None:
        yield Broken("labels.key", "missing key", "the column that names the row of an answer", there)
        return
    key_type = source.types.get(source.key, "string") if source.key else "string"
    if labels.key == role.column:
        yield Broken("labels.key", "is the answer itself", "the column that names its row", labels.key)
    elif (found_type := labels.types.get(labels.key)) not in (None, key_type):
        named = f"source.key ({source.key})" if source.key else f"source.key_from: {source.key_from}"
        wanted = f"a {key_type} column, which is what {named} is compared with"
        yield Broken("labels.key", "keys of two types", wanted, f"{labels.key}: {found_type}")
