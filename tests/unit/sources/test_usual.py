"""What is taken for a usual moment or number needs no pattern: that accepts it, or the cast refuses it."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lakeloop.sources.usual import usual_moments, usual_numbers
from lakeloop.sources.values import parse

MOMENT = "2026-11-20T08:30:00Z"


@pytest.mark.parametrize(
    "other", ["", MOMENT[:-1], f" {MOMENT[:-1]}", MOMENT.lower(), "2026-11-20 08:30:00Z", "x"]
)
def test_one_other_form_of_a_moment_makes_the_column_unusual(other: str) -> None:
    assert usual_moments(pa.array([MOMENT, None, MOMENT]))
    assert usual_moments(pa.array([other, MOMENT, MOMENT]).slice(1))
    assert not usual_moments(pa.array([MOMENT, other]))


def test_forms_of_other_lengths_do_not_make_up_for_each_other() -> None:
    assert not usual_moments(pa.array([f"{MOMENT}{MOMENT[0]}", MOMENT[1:]]))


@settings(deadline=None)
@given(st.lists(st.none() | st.text("0123456789-.+eE ", max_size=6), max_size=4))
@example(["-", "1"])
@example(["1."])
@example(["-.5"])
def test_usual_numbers_that_arrow_accepts_are_those_that_python_accepts(texts: list[str | None]) -> None:
    column = pa.array(texts, pa.string())
    if not usual_numbers(column):
        return
    try:
        column.cast(pa.float64())
    except pa.ArrowInvalid:
        return
    for text in texts:
        assert text is None or isinstance(parse(text, "number"), float)


def test_most_numbers_are_usual() -> None:
    assert usual_numbers(pa.array(["x", "1", "-0.25", None, "12.5"]).slice(1))
    assert not usual_numbers(pa.array(["1", ""]))
