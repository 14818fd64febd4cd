"""How a score is written for people."""

from __future__ import annotations

from lakeloop.measures.base import shown


def test_scores_are_shown_with_as_many_digits_as_say_something() -> None:
    assert [shown(value) for value in (0.0, 0.95, -1.5, 12.34567, 123456.7, 0.00012345678)] == [
        "0.0000", "0.9500", "-1.5000", "12.3457", "123457", "0.00012346",
    ]  # fmt: skip


def test_numbers_beyond_what_anybody_counts_the_zeros_of_have_a_power_of_ten() -> None:
    assert shown(1e-320) == "1e-320"
    assert shown(-3.14159e300) == "-3.142e+300"
    assert shown(2e-9) == "0.0000000020000"
