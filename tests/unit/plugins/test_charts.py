"""Lines as pages draw them: all that is drawn is inside, and what cannot be drawn is left out."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st
from lakeloop_ui.charts import HEIGHT, MOST_POINTS, WIDTH, Series, draw, spark

NUMBERS = st.floats(-1e12, 1e12)


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=30))
def test_every_point_lies_inside_of_the_drawing(points: list[tuple[float, float]]) -> None:
    chart = draw("scores", [Series("a", tuple(points))])
    assert chart is not None
    assert len(chart.lines[0].dots) == len(points)
    for x, y in chart.lines[0].dots:
        assert chart.left <= x <= WIDTH
        assert 0 <= y <= chart.bottom
    assert all(0 <= tick.place <= HEIGHT for tick in chart.y_ticks)


def test_more_is_drawn_higher_and_later_is_drawn_further_right() -> None:
    chart = draw("scores", [Series("a", ((0, 0.5), (1, 0.75)))], ["Monday", "Tuesday"])
    assert chart is not None
    (x0, y0), (x1, y1) = chart.lines[0].dots
    assert (x0 < x1, y0 > y1) == (True, True)
    assert [tick.words for tick in chart.x_ticks] == ["Monday", "Tuesday"]
    assert chart.words == "a from 0.5000 to 0.7500, 2 points"


def test_what_is_no_number_is_left_out() -> None:
    assert draw("loss", [Series("a", ((0, math.nan), (1, math.inf)))]) is None
    chart = draw("loss", [Series("a", ((0, math.nan), (1, 2.0))), Series("b", ())])
    assert chart is not None
    assert [(line.name, len(line.dots)) for line in chart.lines] == [("a", 1)]


def test_a_long_line_is_thinned_and_keeps_its_ends() -> None:
    chart = draw("loss", [Series("a", tuple((float(n), 100.0 - n / 100) for n in range(10_000)))])
    assert chart is not None
    assert chart.lines[0].path.count("L") < MOST_POINTS
    assert chart.lines[0].dots == ()
    assert "from 100.0000 to 0.0100" in chart.words


def test_one_value_is_no_line() -> None:
    assert spark([0.5]) is None
    assert spark([0.5, math.nan]) is None
    drawn = spark([0.5, 0.5, 0.5])
    assert drawn is not None
    assert drawn.words == "3 evaluations, from 0.5000 to 0.5000"


def test_numbers_on_an_axis_are_told_apart_and_are_what_they_stand_for() -> None:
    for values in ((0.99991, 0.99995, 0.99999), (0.2, 0.9), (12345.0, 12346.0), (1e7, 1.00001e7)):
        chart = draw("scores", [Series("a", tuple(enumerate(values)))])
        assert chart is not None
        words = [tick.words for tick in chart.y_ticks]
        assert len(set(words)) == len(words), words
        assert words != ["1"]
