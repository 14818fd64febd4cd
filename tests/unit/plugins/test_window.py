from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from lakeloop_airflow.window import partition_of

from lakeloop.errors import ConfigurationError


@dataclass
class Run:
    partition_key: str | None = None
    run_after: datetime = datetime(2026, 3, 1, 0, 30, tzinfo=UTC)
    run_id: str = "manual__1"


def test_scheduled_backfilled_and_asset_triggered_runs_work_on_their_partition_key() -> None:
    assert partition_of(Run("2026-02-11"), {"partition": None}, "UTC") == "2026-02-11"


def test_a_run_without_a_key_works_on_the_day_of_the_form() -> None:
    assert partition_of(Run(), {"partition": "2026-02-12"}, "UTC") == "2026-02-12"


def test_a_run_with_neither_works_on_the_day_before_it() -> None:
    assert partition_of(Run(), {"partition": None}, "UTC") == "2026-02-28"
    assert partition_of(Run(), {}, "UTC") == "2026-02-28"


def test_the_day_before_is_that_of_the_loops_time_zone() -> None:
    late = Run(run_after=datetime(2026, 3, 27, 17, 0, tzinfo=UTC))  # 02:00 of the 28th in Tokyo
    zones = {"Asia/Tokyo": "2026-03-27", "UTC": "2026-03-26", "America/New_York": "2026-03-26"}
    assert {zone: partition_of(late, {}, zone) for zone in zones} == zones
    dawn = Run(run_after=datetime(2026, 3, 27, 2, 0, tzinfo=UTC))  # still the 26th in New York
    assert partition_of(dawn, {}, "America/New_York") == "2026-03-25"


def test_key_and_form_may_agree() -> None:
    assert partition_of(Run("2026-02-11"), {"partition": "2026-02-11"}, "UTC") == "2026-02-11"


def test_key_and_form_that_differ_are_refused_rather_than_one_of_them_dropped() -> None:
    with pytest.raises(ConfigurationError, match="given two") as error:
        partition_of(Run("2026-02-11"), {"partition": "2026-02-12"}, "UTC")
    assert "2026-02-11" in str(error.value)
    assert "2026-02-12" in str(error.value)


@pytest.mark.parametrize("key", ["2026-02-30", "2026-2-3", "2026-02-11T00:00:00", "../2026-02-11"])
def test_a_key_that_is_no_day_is_refused(key: str) -> None:
    with pytest.raises(ConfigurationError, match="not a day"):
        partition_of(Run(key), {}, "UTC")
