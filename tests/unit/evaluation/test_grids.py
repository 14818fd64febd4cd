"""The grids of all models on the page: side by side, and cut where they are too long."""

from __future__ import annotations

from lakeloop.evaluation.grids import MOST_ROWS, sections_of, side_by_side
from lakeloop.tasks.base import Grid
from tests.support.evidence import evidence, model


def grid(*rows: tuple[str, float], compared: str = "F1") -> Grid:
    return Grid(title="Labels", columns=("label", "F1"), rows=rows, compared=compared)


def test_models_are_compared_row_by_row_whatever_their_order() -> None:
    leader, other = model("baseline", {"f": 1.0}), model("finetune", {"f": 0.5})
    merged = side_by_side(grid(("a", 0.1), ("b", 0.2)), leader, [(other, grid(("b", 0.7), ("a", 0.8)))])
    assert merged.columns == ("label", "F1, baseline", "F1, finetune")
    assert merged.rows == (("a", 0.1, 0.8), ("b", 0.2, 0.7))
    twice = side_by_side(grid(("a", 0.1), ("a", 0.2)), leader, [(other, grid(("a", 0.7), ("a", 0.8)))])
    assert twice.rows == (("a", 0.1, 0.7), ("a", 0.2, 0.8))


def test_of_a_long_table_the_first_rows_are_shown_and_the_others_counted() -> None:
    long = grid(*((f"label {number}", number / 1000) for number in range(MOST_ROWS + 7)))
    (section,) = sections_of(evidence(model("baseline", {"f": 1.0}, tables=(long,))))
    assert len(section.grid.rows) == MOST_ROWS
    assert section.left_out == 7
