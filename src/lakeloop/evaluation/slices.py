"""Parts of the test rows that are looked at by themselves: by the right answer, by a column, by length."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lakeloop.tasks.reading import instances_of

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from lakeloop.tasks.base import Task

FEWEST_ROWS = 20
"""Of fewer rows a slice says nothing."""
_MOST_VALUES = 200
"""A column with more values is no column to slice by."""
_THIRDS = ("low", "middle", "high")
_LENGTHS = ("short", "middle", "long")


class Slice(NamedTuple):
    """Some of the rows."""

    name: str
    """Of the column, then of its value."""
    within: NDArray[Any]
    """bool [rows]: which are in it."""


def slices_of(rows: pa.Table, task: Task) -> list[Slice]:
    """The slices of `rows` (columns of the task) that have enough of them and are not all of them."""
    found = [*_of_targets(task.truths(rows)), *_of_features(rows, task), *_of_lengths(rows, task)]
    return [each for each in found if FEWEST_ROWS <= each.within.sum() < rows.num_rows]


def _of_targets(truths: Sequence[Any]) -> Iterator[Slice]:
    if all(isinstance(truth, str) for truth in truths):
        yield from _by_value("answer", truths)


def _of_features(rows: pa.Table, task: Task) -> Iterator[Slice]:
    for feature in task.section.features:
        values = rows[feature.column].to_pylist()
        if feature.kept_as == "string":
            yield from _by_value(feature.name, values)
        else:
            yield from _by_third(feature.name, values, _THIRDS)


def _of_lengths(rows: pa.Table, task: Task) -> Iterator[Slice]:
    lengths = [len(instance.text) for instance in instances_of(task.section, rows)]
    yield from _by_third("length", lengths, _LENGTHS)


def _by_value(column: str, values: Sequence[Any]) -> Iterator[Slice]:
    counts = Counter(value for value in values if value is not None)
    if len(counts) > _MOST_VALUES:
        return
    found = np.array(values, dtype=object)
    for value in sorted(counts):
        yield Slice(f"{column} {value}", found == value)


def _by_third(column: str, values: Sequence[float | None], names: Sequence[str]) -> Iterator[Slice]:
    found = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    known = found[~np.isnan(found)]
    if not len(known):
        return
    first, second = np.quantile(known, [1 / 3, 2 / 3])
    parts = (found <= first, (found > first) & (found <= second), found > second)
    for name, within in zip(names, parts, strict=True):
        yield Slice(f"{column} {name}", within)
