"""The most frequent confusions: of right and wrong answers the pairs that come most often, each with a text.

Where there are many answers, a matrix of all pairs is mostly zeros and larger than any screen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from lakeloop.evaluation.mistakes import excerpt
from lakeloop.evidence import Example, ModelEvidence
from lakeloop.tasks.base import Grid
from lakeloop.tasks.reading import instances_of

if TYPE_CHECKING:
    from lakeloop.evaluation.judge import Judged
    from lakeloop.tasks.base import Task

CONFUSION = "confusion"
"""Kind of the grids that count right answers by given ones."""
MOST_IN_A_MATRIX = 12
"""Of more answers than this the most frequent confusions are shown, and no matrix."""
MOST_PAIRS = 30


@dataclass(frozen=True)
class Pair:
    """A right answer, and another one that was given in its place."""

    expected: str
    answered: str
    rows: int
    """Rows of which that is so."""
    share: float
    """Of the rows with this right answer."""


@dataclass(frozen=True)
class Confusions:
    """The most frequent confusions of the leader, with how often those of other models are the same."""

    grid: Grid
    pairs: tuple[Pair, ...]
    """The most frequent first."""
    all_pairs: int
    wrong: int
    """Rows of all pairs."""
    others: tuple[tuple[ModelEvidence, Mapping[tuple[str, str], int]], ...]
    """Each other model with its rows of each pair."""
    examples: Mapping[tuple[str, str], Example]

    @classmethod
    def of(
        cls,
        grid: Grid,
        others: Sequence[tuple[ModelEvidence, Grid]],
        examples: Sequence[Example],
    ) -> Confusions:
        """Those of `grid`, the leader's, and of the grids of `others`."""
        pairs = pairs_of(grid)
        return cls(
            grid,
            tuple(pairs[:MOST_PAIRS]),
            all_pairs=len(pairs),
            wrong=sum(pair.rows for pair in pairs),
            others=tuple((model, _counts(other)) for model, other in others),
            examples={(each.expected, each.answered): each for each in examples},
        )

    @property
    def sentence(self) -> str:
        """How much of what is wrong is shown."""
        shown = sum(pair.rows for pair in self.pairs)
        share = 100 * shown / max(self.wrong, 1)
        if len(self.pairs) == self.all_pairs:
            return f"All {self.all_pairs} pairs of a right answer and another that was given."
        return (
            f"The {len(self.pairs)} most frequent of {self.all_pairs} pairs of a right answer and another"
            f" that was given: {shown} of {self.wrong} wrong answers ({share:.0f} %)."
        )

    @property
    def lines(self) -> Iterator[tuple[Pair, list[int], Example | None]]:
        """Each pair, how often it is in the answers of each other model, and a row."""
        for pair in self.pairs:
            key = (pair.expected, pair.answered)
            yield pair, [counts.get(key, 0) for _, counts in self.others], self.examples.get(key)


def is_large(grid: Grid) -> bool:
    """Whether `grid` is a matrix that no screen has room for."""
    return grid.kind == CONFUSION and len(grid.rows) > MOST_IN_A_MATRIX


def pairs_of(grid: Grid) -> list[Pair]:
    """All confusions that a grid of kind `confusion` counts, the most frequent first, then by their share."""
    found = []
    for number, (name, *counts) in enumerate(grid.rows):
        numbers = [int(str(count)) for count in counts]
        total = sum(numbers)
        found += [
            Pair(str(name), column, count, count / total)
            for at, (column, count) in enumerate(zip(grid.columns[1:], numbers, strict=True))
            if count and at != number
        ]
    return sorted(found, key=lambda pair: (-pair.rows, -pair.share))


def examples_of(judged: Judged, rows: pa.Table, task: Task, grids: Sequence[Grid]) -> tuple[Example, ...]:
    """Of each of the most frequent confusions in `grids`, the row with the largest error.

    None where a task has no confusions, or so few that the matrix of them is shown.
    """
    grid = next((grid for grid in grids if is_large(grid)), None)
    if grid is None:
        return ()
    # As the grid has them: an answer that is none of them, -1, is its last column.
    names, outcomes = grid.columns[1:], judged.outcomes
    pairs = [
        (str(names[truth]), str(names[answer]))
        for truth, answer in zip(outcomes.truth.tolist(), outcomes.answer.tolist(), strict=True)
    ]
    wanted = {(pair.expected, pair.answered): -1 for pair in pairs_of(grid)[:MOST_PAIRS]}
    errors = task.errors(judged.answers, task.truths(rows))
    for number in np.argsort(-errors, kind="stable").tolist():
        if wanted.get(pairs[number]) == -1:
            wanted[pairs[number]] = number
    found = {pair: number for pair, number in wanted.items() if number >= 0}
    picked = rows.take(pa.array(list(found.values()), pa.int64()))
    return tuple(
        Example(expected=expected, answered=answered, row_id=row_id, text=excerpt(instance.shown))
        for (expected, answered), row_id, instance in zip(
            found, picked["row_id"].to_pylist(), instances_of(task.section, picked), strict=True
        )
    )


def _counts(grid: Grid) -> dict[tuple[str, str], int]:
    return {(pair.expected, pair.answered): pair.rows for pair in pairs_of(grid)}
