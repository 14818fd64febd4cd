"""The grids of all models as a page shows them: the leader's, with what the others have beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lakeloop.evaluation.confused import Confusions, is_large
from lakeloop.evaluation.mistakes import excerpt
from lakeloop.evidence import Evidence, ModelEvidence
from lakeloop.measures.base import shown
from lakeloop.tasks.base import Grid

MOST_ROWS = 200
"""Rows of a table that are shown, of those that are ordered the worst first."""
LONGEST = 240
"""Characters of a cell: the name of an answer may have a thousand, and there may be hundreds of them."""
_LONGEST_NAME = 60
"""Characters: what is longer is a text."""
TALL = 20
"""A table of more rows scrolls within its own box."""


@dataclass(frozen=True)
class Section:
    """One grid on the page."""

    grid: Grid
    """With the compared columns of other models, where it has a column to compare by."""
    others: tuple[tuple[ModelEvidence, Grid], ...]
    """Grids of other models of the same title, which `grid` does not show."""
    confusions: Confusions | None
    """In place of `grid` where that is a matrix too large to be read."""
    left_out: int
    """Rows of the grid that are not shown."""


def sections_of(evidence: Evidence) -> Iterator[Section]:
    """The grids of the leader, in their order."""
    leader = evidence.model(evidence.leader)
    for grid in leader.tables:
        same = [
            (model, other)
            for model in evidence.models
            for other in model.tables
            if model is not leader and (other.title, other.kind) == (grid.title, grid.kind)
        ]
        shown_grid = side_by_side(grid, leader, same) if grid.compared else grid
        cut = 0
        if grid.kind == "table":
            cut = max(0, len(grid.rows) - MOST_ROWS)
            shown_grid = shown_grid.model_copy(update={"rows": shown_grid.rows[:MOST_ROWS]})
        large = is_large(grid)
        yield Section(
            shown_grid,
            others=() if grid.compared or large else tuple(same),
            confusions=Confusions.of(grid, same, evidence.examples) if large else None,
            left_out=cut,
        )


def side_by_side(grid: Grid, leader: ModelEvidence, others: Sequence[tuple[ModelEvidence, Grid]]) -> Grid:
    """The leader's `grid` with a further column for each other model: its value of the compared column.

    Rows are matched by their first column where that names each once, else by their place.
    """
    at = grid.columns.index(grid.compared)
    columns = [f"{grid.compared}, {leader.title}" if n == at else name for n, name in enumerate(grid.columns)]
    order = [n for n in range(len(columns)) if n != at] + [at]
    rows = [[row[n] for n in order] for row in grid.rows]
    names = [row[0] for row in grid.rows]
    for _, other in others:
        values = [row[other.columns.index(grid.compared)] for row in other.rows]
        if len(set(names)) == len(names):
            by_name = dict(zip((row[0] for row in other.rows), values, strict=True))
            values = [by_name.get(name) for name in names]
        for row, value in zip(rows, values, strict=True):
            row.append(value)
    return Grid(
        title=grid.title,
        columns=(
            *(columns[n] for n in order),
            *(f"{grid.compared}, {model.title}" for model, _ in others),
        ),
        rows=tuple(map(tuple, rows)),
        note=f"{grid.note} Where no model is named, it is {leader.called}.".strip(),
    )


def holdings(grid: Grid) -> list[str]:
    """What each column of a table holds: "text", which wraps; "name", short words; "" for numbers."""
    kinds = []
    for place in range(len(grid.columns)):
        words = [value for row in grid.rows if isinstance(value := row[place], str)]
        longest = max(map(len, words), default=0)
        kinds.append("" if not words else "text" if longest > _LONGEST_NAME else "name")
    return kinds


def cell(value: Any) -> str:
    """One value of a table, as text; of a name as long as a text the beginning."""
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 1000 else shown(value)
    return excerpt(str(value), LONGEST)
