"""How a score is written for people."""

from __future__ import annotations

import pytest

from lakeloop.measures.base import shown
from lakeloop.measures.registry import DOUBTFUL, METRICS, limited, told


def test_scores_are_shown_with_as_many_digits_as_say_something() -> None:
    assert [shown(value) for value in (0.0, 0.95, -1.5, 12.34567, 123456.7, 0.00012345678)] == [
        "0.0000", "0.9500", "-1.5000", "12.3457", "123457", "0.00012346",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "score", "said"),
    [
        ("doubtful_rows", 24.0, "24"),
        ("doubtful_rows", 0.0, "0"),
        ("doubtful_rows", 123456.0, "123456"),
        ("doubtful_rows", 2.5, "2.5000"),
        ("macro_f1", 1.0, "1.0000"),
        ("latency_ms", 24.0, "24.0000"),
        ("of a record of before", 24.0, "24.0000"),
    ],
)
def test_a_measure_that_counts_is_told_as_a_whole_number(name: str, score: float, said: str) -> None:
    assert told(name, score) == said
    assert told(name, score, (1.0, 2.0)) == f"{said} [1.0000, 2.0000]"


def test_what_counts_is_said_where_the_measure_is() -> None:
    counting = {each.name for task in METRICS for each in limited(task).values() if each.counts}
    assert counting == {DOUBTFUL.name}


def test_numbers_beyond_what_anybody_counts_the_zeros_of_have_a_power_of_ten() -> None:
    assert shown(1e-320) == "1e-320"
    assert shown(-3.14159e300) == "-3.142e+300"
    assert shown(2e-9) == "0.0000000020000"
