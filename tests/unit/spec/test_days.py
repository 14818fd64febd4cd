"""Partitions are real days."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from lakeloop.errors import ConfigurationError
from lakeloop.spec.days import days_between, require_day, yesterday


def test_a_real_day_is_given_back() -> None:
    assert require_day("2028-02-29") == "2028-02-29"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("2026-02-29", "day is out of range for month"),
        ("2026-13-01", "month must be in 1..12"),
        ("20261116", "not written YYYY-MM-DD"),
        ("2026-11-16T00:00", "not written YYYY-MM-DD"),
        ("2026-11-1\uff16", "not written YYYY-MM-DD"),
        ("yesterday", "not written YYYY-MM-DD"),
        ("", "not written YYYY-MM-DD"),
        ("../../etc", "not written YYYY-MM-DD"),
    ],
)
def test_what_is_no_day_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        require_day(text)
    message = str(caught.value)
    assert message.startswith("partition: not a day\n  expected: a real day written YYYY-MM-DD, such as 20")
    assert message.endswith(f'found: "{text}" ({reason})')


def test_yesterday_is_the_last_whole_day_in_utc() -> None:
    assert date.fromisoformat(yesterday("UTC")) in {
        datetime.now(UTC).date() - timedelta(days=n) for n in (1, 2)
    }  # two, when the test runs over midnight


def test_a_range_has_both_its_ends() -> None:
    assert days_between("2026-11-29", "2026-12-01") == ["2026-11-29", "2026-11-30", "2026-12-01"]
    assert days_between("2026-11-29", "2026-11-29") == ["2026-11-29"]


@pytest.mark.parametrize(("first", "last"), [("2026-11-02", "2026-11-01"), ("1900-01-01", "2026-11-01")])
def test_a_range_the_wrong_way_round_or_without_end_is_refused(first: str, last: str) -> None:
    with pytest.raises(ConfigurationError, match="not a range of days"):
        days_between(first, last)
