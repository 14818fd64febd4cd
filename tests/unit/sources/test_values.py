"""Which texts are values of which type, and which."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from lakeloop.sources.values import parse

NOON = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-01T12:00:00Z",
        "2026-01-01t12:00:00z",
        "2026-01-01 12:00",
        "2026-01-01T12:00:00+0000",
        "2026-01-01T13:00:00.000+01",
        "2026-01-01T06:30:00-05:30",
        "2026-01-01T12:00:00,0Z",
        "2026-01-01T12:00:00.000000999-00:00",
    ],
)
def test_a_moment_is_the_same_in_each_of_its_forms(text: str) -> None:
    assert parse(text, "timestamp") == NOON


def test_digits_below_a_microsecond_are_cut_off() -> None:
    assert parse("2026-01-01T12:00:00.1234569Z", "timestamp") == NOON.replace(microsecond=123456)


@pytest.mark.parametrize(
    "text",
    ["2026-01-01T", "2026-01-01T12", "2026-01-01T12:00:00.Z", "2026-01-01T12:00Z ", "2026-13-01", "12:00",
     "2026-01-01T25:00", "2026-01-01T12:00+1", "0000-01-01"],
)  # fmt: skip
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(text, "timestamp")
