"""A cron that does not come once a day would miss days, or do them more than once."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from lakeloop.errors import ConfigurationError
from lakeloop.settings import Settings
from lakeloop.spec.reading.load import load_loop
from lakeloop.spec.ticks import first_fault, newest_due
from lakeloop.spec.watch import Schedule

SATURDAY = date(2026, 11, 28)


@pytest.mark.parametrize(
    ("cron", "zone"),
    [
        ("0 2 * * *", "UTC"),
        ("0 2 * * *", "Europe/Berlin"),
        ("0 2 * * *", "America/New_York"),
        ("30 2 * * *", "Europe/Berlin"),
        ("0 0 * * *", "Africa/Cairo"),
        ("59 23 * * *", "Asia/Tokyo"),
        ("0 2 */1 1-12 0-6", "Europe/Berlin"),
    ],
)
def test_a_cron_that_comes_once_a_day_is_right_whatever_the_clocks_do(cron: str, zone: str) -> None:
    assert first_fault(cron, zone, SATURDAY) == ""
    assert Schedule(cron=cron, timezone=zone).timezone == zone


@pytest.mark.parametrize(
    ("cron", "fault"),
    [
        ("0 2 * * MON-FRI", "no run is on Saturday 2026-11-28, so 2026-11-27 would be missed"),
        ("0 2 * * SUN", "no run is on Saturday 2026-11-28, so 2026-11-27 would be missed"),
        ("0 3 1 * *", "no run is on Saturday 2026-11-28, so 2026-11-27 would be missed"),
        ("0 2 1-28 * *", "no run is on Sunday 2026-11-29, so 2026-11-28 would be missed"),
        ("0 2 * 1-10,12 *", "no run is on Saturday 2026-11-28, so 2026-11-27 would be missed"),
        ("0 */6 * * *", "a second run is on Saturday 2026-11-28, so 2026-11-27 would be done again"),
        ("0,30 2 * * *", "a second run is on Saturday 2026-11-28, so 2026-11-27 would be done again"),
        ("* * * * *", "a second run is on Saturday 2026-11-28, so 2026-11-27 would be done again"),
    ],
)
def test_the_first_day_that_is_missed_or_done_again_is_named(cron: str, fault: str) -> None:
    assert first_fault(cron, "UTC", SATURDAY) == fault
    with pytest.raises(ValidationError, match="not one run a day"):
        Schedule(cron=cron)


def test_a_run_that_the_clocks_move_to_the_next_day_is_one_day_missed() -> None:
    assert first_fault("0 23 * * *", "America/Nuuk", SATURDAY) == (
        "no run is on Saturday 2027-03-27 (in America/Nuuk, where the clocks change),"
        " so 2027-03-26 would be missed"
    )
    assert first_fault("0 22 * * *", "America/Nuuk", SATURDAY) == ""


@pytest.mark.parametrize(
    ("cron", "moment", "day"),
    [
        ("0 8 * * *", "2026-03-29T05:59:00Z", "2026-03-27"),
        ("0 8 * * *", "2026-03-29T06:00:00Z", "2026-03-28"),
        ("30 2 * * *", "2026-03-29T00:59:00Z", "2026-03-27"),
        ("30 2 * * *", "2026-03-29T01:30:00Z", "2026-03-28"),
        ("0 0 * * *", "2026-03-28T23:00:00Z", "2026-03-28"),
    ],
)
def test_a_day_is_due_when_its_run_has_come(cron: str, moment: str, day: str) -> None:
    assert newest_due(cron, "Europe/Berlin", datetime.fromisoformat(moment)) == day


@pytest.mark.parametrize(
    ("schedule", "key"),
    [
        ("{cron: 0 2 * * MON-FRI, timezone: Europe/Berlin}", "cron"),
        ("{cron: 30 23 * * *, timezone: America/Nuuk}", "timezone"),
    ],
)
def test_a_loop_file_with_such_a_cron_is_refused_with_the_key_and_the_day(
    root: Path, tmp_path: Path, schedule: str, key: str
) -> None:
    file = tmp_path / "loops/news/loop.yaml"
    file.parent.mkdir(parents=True)
    text = (root / "loops/news/loop.yaml").read_text()
    file.write_text(text.replace("deploy:", f"schedule: {schedule}\ndeploy:"))
    with pytest.raises(ConfigurationError) as caught:
        load_loop(file, Settings(root=root, loops=tmp_path / "loops"))
    message = str(caught.value)
    assert f"schedule.{key}: not one run a day\n    expected: a cron that comes once on each" in message
    assert "there are no partitions of hours or weeks; here no run is on " in message
    assert " would be missed\n    found: " in message
