"""Which texts are values of which type, and which."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakeloop.sources.values import cast, parse
from lakeloop.spec.columns import Moments
from lakeloop.spec.time_format import parse_format

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
        "2026-01-01 12:00:00 UTC",
        "2026-01-01 12:00:00.0 GMT",
        "2026-01-01 14:00:00 +02:00",
        "20260101 1400 +02",
    ],
)
def test_a_moment_is_the_same_in_each_of_its_forms(text: str) -> None:
    assert parse(text, "timestamp") == NOON
    assert cast(pa.array([text]), "timestamp").to_pylist() == [NOON]


def test_digits_below_a_microsecond_are_cut_off() -> None:
    assert parse("2026-01-01T12:00:00.1234569Z", "timestamp") == NOON.replace(microsecond=123456)


@pytest.mark.parametrize(
    "text",
    ["2026-01-01T", "2026-01-01T12", "2026-01-01T12:00:00.Z", "2026-01-01T12:00Z ", "2026-13-01", "12:00",
     "2026-01-01T25:00", "2026-01-01T12:00+1", "0000-01-01", "2026-01-01 UTC", "2026-01-01T12:00  Z"],
)  # fmt: skip
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(text, "timestamp")


@pytest.mark.parametrize(
    "text", ["20260101T120000Z", "20260101T1200", "2026-001T12:00", "2026-W01-4T12:00:00Z"]
)
def test_a_moment_can_be_written_without_separators_or_as_a_day_of_the_year_or_week(text: str) -> None:
    assert parse(text, "timestamp") == NOON


# ruff: noqa: DTZ001
FORMS = [
    "%m/%d/%Y", "%d.%m.%y %H:%M", "%m/%d/%Y %I:%M %p", "%a %b %d %H:%M:%S %z %Y", "%d %B %Y %H:%M:%S.%f",
    "%Y%m%d",
]  # fmt: skip
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"]


@settings(max_examples=500, deadline=None)
@given(
    st.datetimes(datetime(1960, 1, 1), datetime(2040, 1, 1))
    | st.sampled_from(
        [datetime(2026, 3, 29, 2, 30), datetime(2026, 10, 25, 2, 30), datetime(2026, 3, 8, 2, 30)]
    ),
    st.sampled_from(FORMS),
    st.sampled_from(ZONES),
    st.text("0123456789/:. apmAPM+-", max_size=2),
)
def test_arrow_reads_a_format_as_python_does(moment: datetime, form: str, zone: str, noise: str) -> None:
    text = moment.replace(tzinfo=UTC).strftime(form) + noise
    written = Moments(parse_format(form), 0, zone)
    quick = cast(pa.array([text, None]), "timestamp", written)
    try:
        value = parse(text, "timestamp", written)
    except ValueError:
        assert quick is None
    else:
        assert quick is None or quick.to_pylist() == [value, None]
        if not noise and zone == "UTC":
            assert quick is not None, "the quick path could have done this"


def test_a_moment_without_a_zone_is_in_that_of_its_column() -> None:
    berlin = Moments(None, 0, "Europe/Berlin")
    assert parse("2026-01-01T13:00", "timestamp", berlin) == NOON
    assert parse("2026-01-01T12:00Z", "timestamp", berlin) == NOON
    assert cast(pa.array(["2026-01-01T13:00"]), "timestamp", berlin).to_pylist() == [NOON]


@pytest.mark.parametrize(
    ("unit", "text"), [(1_000_000, "1767268800"), (1_000, "1767268800000"), (1_000_000, "1767268800.0")]
)
def test_seconds_and_milliseconds_since_1970_are_moments(unit: int, text: str) -> None:
    written = Moments(None, unit)
    assert parse(text, "timestamp", written) == NOON
    quick = cast(pa.array([text]), "timestamp", written)
    assert ("." in text) == (quick is None)
    assert quick is None or quick.to_pylist() == [NOON]


@pytest.mark.parametrize("text", ["", "soon", "1e9", "99999999999999", "-99999999999999", "NaN"])
def test_what_is_no_number_of_seconds_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"since 1970|outside"):
        parse(text, "timestamp", Moments(None, 1_000_000))
    assert cast(pa.array([text]), "timestamp", Moments(None, 1_000_000)) is None


@pytest.mark.parametrize(("text", "value"), [("1.0", 1), ("-7.000", -7), ("12", 12)])
def test_a_whole_number_may_have_zeros_behind_its_point(text: str, value: int) -> None:
    assert parse(text, "integer") == value
    assert cast(pa.array([text]), "integer").to_pylist() == [value]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("9007199254740992", 2.0**53),
        ("1e20", 1e20),
        ("100000000000000000000", 1e20),
        ("1.790000000000001", None),
    ],
)
def test_a_number_that_a_float_holds_is_taken(text: str, value: float | None) -> None:
    assert parse(text, "number") == (value or float(text))


@pytest.mark.parametrize("text", ["1790000000000000001", "-9007199254740993", "9007199254740993.0"])
def test_a_whole_number_that_a_float_would_round_is_refused(text: str) -> None:
    """Ids of 19 digits became those of others, and their rows repeats of each other."""
    with pytest.raises(ValueError, match="declare integer or string"):
        parse(text, "number")
    assert cast(pa.array([text, "1"]), "number") is None
