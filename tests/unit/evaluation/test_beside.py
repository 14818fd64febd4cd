"""The leader beside another model as the page has it: words, places on a line, lost slices."""

from __future__ import annotations

from typing import Any

import pytest

from lakeloop.evaluation.beside import MOST_SLICES, WIDTH, Beside, Line, shown_signed
from lakeloop.evidence import SliceChange
from tests.support.evidence import comparison, model
from tests.support.small_loop import small_loop

CHAMPION = model("champion", {"macro_f1": 0.9}, version="v3")


def beside(advantage: float = 0.01, gate: dict[str, Any] | None = None, **fields: Any) -> Beside:
    return Beside(comparison("champion", advantage, **fields), CHAMPION, small_loop(gate=gate or {}))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"advantage": 0.02, "p_better": 0.01},
            "That it is better than the champion v3 is more than chance.",
        ),
        ({"advantage": 0.001, "p_better": 0.4}, "these rows do not tell it from the champion v3"),
        ({"advantage": -0.03, "p_better": 0.99, "p_worse": 0.01}, "That it is worse than the champion v3"),
    ],
)
def test_a_difference_is_told_with_whether_it_is_more_than_chance(fields: dict[str, Any], words: str) -> None:
    assert words in beside(**fields).sentence
    assert "90 % interval" in beside(**fields).sentence


@pytest.mark.parametrize("values", [(-1e-6, 0.0, 1e-6, 0.0), (0.2, 0.3, 0.4, 0.01), (-9.0, -5.0, -1.0, 0.5)])
def test_all_that_is_marked_lies_on_the_line_in_its_order(values: tuple[float, float, float, float]) -> None:
    low, middle, high, allowed = values
    line = Line(low, middle, high, allowed)
    assert line.x(low) < line.x(middle) < line.x(high)
    assert line.x(-allowed) <= line.x(0.0)
    assert all(0 <= line.x(value) <= WIDTH for value in (low, middle, high, -allowed, 0.0))


def test_words_at_an_edge_stay_within_the_drawing() -> None:
    line = Line(-1.0, 0.0, 1.0, 0.0)
    assert [line.mark(value).anchor for value in (-1.0, 0.0, 1.0)] == ["start", "middle", "end"]


def test_of_slices_the_largest_loss_is_first_and_lost_ones_are_marked_by_the_rule_of_the_gate() -> None:
    slices = (
        SliceChange(name="answer a", rows=100, gained=0, lost=2, p_worse=0.01),
        SliceChange(name="answer b", rows=100, gained=0, lost=20, p_worse=0.01),
        SliceChange(name="answer c", rows=100, gained=0, lost=15, p_worse=0.4),
    )
    found = beside(slices=slices)
    assert [(each.name, lost) for each, lost in found.slices] == [
        ("answer b", True),
        ("answer c", False),
        ("answer a", False),
    ]
    assert found.slices_sentence == "Of 3 slices of the test rows 1 is lost."
    assert "more than 5 % of its rows" in found.slices_meaning
    allowed = beside(slices=slices, gate={"max_slice_regression": 1})
    assert not any(lost for _, lost in allowed.slices)
    assert "any slice" in allowed.slices_meaning


def test_of_many_slices_the_largest_losses_are_shown() -> None:
    many = tuple(
        SliceChange(name=f"answer {n}", rows=100, gained=0, lost=n, p_worse=1.0)
        for n in range(MOST_SLICES + 9)
    )
    found = beside(slices=many)
    assert len(list(found.slices)) == MOST_SLICES
    assert next(iter(found.slices))[0].lost == MOST_SLICES + 8
    assert f"The {MOST_SLICES} with the largest losses are shown." in found.slices_sentence


def test_a_difference_has_its_sign() -> None:
    assert [shown_signed(value) for value in (0.01, -0.01, 0.0)] == [
        "+0.0100",
        "\N{MINUS SIGN}0.0100",
        "+0.0000",
    ]
