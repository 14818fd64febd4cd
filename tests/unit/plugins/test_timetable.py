"""The timetable of the days, asked as the scheduler and the API server ask it: after its way through JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pendulum
import pytest
from airflow.serialization.decoders import decode_timetable
from airflow.serialization.encoders import encode_timetable
from airflow.timetables.base import DagRunInfo, TimeRestriction
from lakeloop_airflow.timetable import DayBefore
from lakeloop_airflow.window import partition_of

from lakeloop.spec.ticks import first_fault
from tests.unit.plugins.test_window import Run

ZONES = [
    "UTC", "Europe/Berlin", "America/New_York", "America/Los_Angeles", "Asia/Tokyo", "Asia/Kolkata",
    "Australia/Lord_Howe", "Pacific/Auckland", "Pacific/Kiritimati", "America/Santiago", "Africa/Cairo",
    "Asia/Beirut", "Atlantic/Azores", "America/Nuuk", "America/Havana", "Africa/Casablanca",
    "Antarctica/Troll",
]  # fmt: skip
"""Ahead of and behind UTC, whole hours and not, clocks that change by night, at midnight, by half an hour."""


def stored(cron: str, zone: str) -> Any:
    """The timetable as Airflow reads it back from its database."""
    read: Any = decode_timetable(json.loads(json.dumps(encode_timetable(DayBefore(cron, zone)))))
    return read


def scheduled(timetable: Any, start: datetime, last: str, *, catchup: bool = True) -> Iterator[DagRunInfo]:
    """The runs that the scheduler makes from `start` on, up to that for the day `last`."""
    restriction = TimeRestriction(pendulum.instance(start), None, catchup)
    info = None
    while info is None or str(info.partition_key) < last:
        info = timetable.next_dagrun_info_v2(last_dagrun_info=info, restriction=restriction)
        yield info


def days(first: date, count: int) -> list[str]:
    return [(first + timedelta(days=n)).isoformat() for n in range(count)]


def changes_of_the_clocks(zone: str) -> list[date]:
    """The days of two years before which or on which clocks in `zone` change; a plain day where none do."""
    at = [datetime(2024, 1, 1, 12, tzinfo=UTC) + timedelta(days=n) for n in range(731)]
    offsets = [moment.astimezone(ZoneInfo(zone)).utcoffset() for moment in at]
    changed = [
        moment.date() for moment, old, new in zip(at[1:], offsets, offsets[1:], strict=False) if old != new
    ]
    return changed or [date(2025, 3, 30)]


@pytest.mark.parametrize("zone", ZONES)
def test_each_day_comes_once_in_any_zone_whatever_the_clocks_do(zone: str) -> None:
    crons = [
        c
        for c in ("0 0 * * *", "0 2 * * *", "30 2 * * *", "0 12 * * *", "30 23 * * *")
        if not first_fault(c, zone, date(2024, 1, 1))
    ]
    assert len(crons) >= 4
    for cron in crons:
        timetable = stored(cron, zone)
        for change in changes_of_the_clocks(zone):
            begin = datetime.combine(change - timedelta(days=3), datetime.min.time(), ZoneInfo(zone))
            expected = days(change - timedelta(days=4), 8)
            runs = list(scheduled(timetable, begin, expected[-1]))
            assert [run.partition_key for run in runs] == expected, (cron, change)
            for run in runs:
                day = date.fromisoformat(str(run.partition_key))
                assert run.run_after.astimezone(ZoneInfo(zone)).date() > day, "the day is over"
                assert partition_of(Run(run_after=run.run_after), {}, zone) == run.partition_key


def test_a_time_that_does_not_exist_is_a_later_one_of_the_same_day() -> None:
    runs = list(
        scheduled(stored("30 2 * * *", "Europe/Berlin"), datetime(2026, 3, 28, tzinfo=UTC), "2026-03-28")
    )
    assert [(str(run.run_after)[:16], run.partition_key) for run in runs] == [
        ("2026-03-28 01:30", "2026-03-27"),
        ("2026-03-29 01:30", "2026-03-28"),
    ]


def test_what_the_check_refuses_would_miss_a_day() -> None:
    zone, cron = "America/Nuuk", "30 23 * * *"
    fault = first_fault(cron, zone, date(2027, 3, 1))
    assert fault.endswith("so 2027-03-26 would be missed")
    runs = scheduled(stored(cron, zone), datetime(2027, 3, 20, 12, tzinfo=UTC), "2027-03-30")
    assert "2027-03-26" not in [run.partition_key for run in runs]


def test_a_scheduler_that_was_down_does_not_catch_up() -> None:
    timetable = stored("0 2 * * *", "Europe/Berlin")
    now = datetime.now(UTC)
    week_ago = next(scheduled(timetable, now - timedelta(days=8), "0000"))
    info = timetable.next_dagrun_info_v2(
        last_dagrun_info=week_ago, restriction=TimeRestriction(None, None, False)
    )
    assert info.run_after <= now
    assert now - info.run_after < timedelta(days=1, hours=1), (
        "only the newest day: maintenance finds the others"
    )


@pytest.mark.parametrize("zone", ZONES)
def test_a_backfill_works_on_each_day_of_its_range(zone: str) -> None:
    timetable = stored("0 2 * * *", zone)
    for change in changes_of_the_clocks(zone)[:2]:
        first, last = change - timedelta(days=2), change + timedelta(days=2)
        asked = {
            "by the form": (at(first), at(last) + timedelta(hours=23, minutes=59, seconds=59)),
            "by the command": (at(first), at(last)),
        }
        for how, (earliest, latest) in asked.items():
            infos = list(timetable.iter_partition_dagrun_infos(earliest=earliest, latest=latest))
            assert [info.partition_key for info in infos] == days(first, 5), how
        planned = {run.partition_key: run for run in scheduled(timetable, at(first), last.isoformat())}
        for info in infos:
            key = str(info.partition_key)
            assert info.partition_date.timestamp() == timetable.resolve_partition_date(key).timestamp()
            if key in planned:  # so that Airflow knows which days have a run already
                assert planned[key].partition_date == info.partition_date


def at(day: date) -> datetime:
    return datetime.combine(day, datetime.min.time(), UTC)


def test_a_backfill_leaves_out_days_that_are_not_over() -> None:
    for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago"):
        now = datetime.now(UTC)
        infos = stored("0 2 * * *", zone).iter_partition_dagrun_infos(
            earliest=now - timedelta(days=4), latest=now + timedelta(days=4)
        )
        newest = [info.partition_key for info in infos][-1]
        local = {moment.astimezone(ZoneInfo(zone)).date() for moment in (now, datetime.now(UTC))}
        assert date.fromisoformat(str(newest)) + timedelta(days=1) in local
    future = stored("0 2 * * *", "UTC").iter_partition_dagrun_infos(
        earliest=datetime(9998, 1, 1, tzinfo=UTC), latest=datetime(9998, 1, 2, tzinfo=UTC)
    )
    assert list(future) == []


def test_the_page_of_the_dag_says_the_cron() -> None:
    timetable = stored("0 2 * * *", "Europe/Berlin")
    assert timetable == DayBefore("0 2 * * *", "Europe/Berlin")
    assert timetable.summary == "0 2 * * *"
    assert timetable.description == "At 02:00"
    assert timetable.partitioned
