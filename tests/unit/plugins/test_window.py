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
    assert partition_of(Run("2026-02-11"), {"partition": None}) == "2026-02-11"


def test_a_run_without_a_key_works_on_the_day_of_the_form() -> None:
    assert partition_of(Run(), {"partition": "2026-02-12"}) == "2026-02-12"


def test_a_run_with_neither_works_on_the_day_before_it() -> None:
    assert partition_of(Run(), {"partition": None}) == "2026-02-28"
    assert partition_of(Run(), {}) == "2026-02-28"


def test_key_and_form_may_agree() -> None:
    assert partition_of(Run("2026-02-11"), {"partition": "2026-02-11"}) == "2026-02-11"


def test_key_and_form_that_differ_are_refused_rather_than_one_of_them_dropped() -> None:
    with pytest.raises(ConfigurationError, match="given two") as error:
        partition_of(Run("2026-02-11"), {"partition": "2026-02-12"})
    assert "2026-02-11" in str(error.value)
    assert "2026-02-12" in str(error.value)


@pytest.mark.parametrize("key", ["2026-02-30", "2026-2-3", "2026-02-11T00:00:00", "../2026-02-11"])
def test_a_key_that_is_no_day_is_refused(key: str) -> None:
    with pytest.raises(ConfigurationError, match="not a day"):
        partition_of(Run(key), {})
