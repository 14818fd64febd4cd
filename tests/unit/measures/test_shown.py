"""How a score is written for people."""

from __future__ import annotations

from lakeloop.measures.base import shown


def test_scores_are_shown_with_as_many_digits_as_say_something() -> None:
    assert [shown(value) for value in (0.0, 0.95, -1.5, 12.34567, 123456.7, 0.00012345678)] == [
        "0.0000", "0.9500", "-1.5000", "12.3457", "123457", "0.00012346",
    ]  # fmt: skip
