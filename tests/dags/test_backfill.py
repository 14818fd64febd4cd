"""A backfill as Airflow's API makes it, from the DAG that its database holds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.airflow import ROOT, make_database, store_dags

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Asia/Tokyo"])
def test_a_backfill_has_one_run_for_each_day_that_was_asked_for(
    zone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (ROOT / "loops/news/loop.yaml").read_text()
    (tmp_path / "loops/news").mkdir(parents=True)
    (tmp_path / "loops/news/loop.yaml").write_text(f"{text}\nschedule: {{timezone: {zone}}}\n")
    monkeypatch.setenv("LAKELOOP_ROOT", str(ROOT))
    monkeypatch.setenv("LAKELOOP_LOOPS", str(tmp_path / "loops"))
    make_database()
    store_dags()
    days = [f"2025-03-{day}" for day in range(27, 32)]
    assert planned(days[0], days[-1]) == days, "the clocks go forward on the 30th in Berlin"
    assert planned(days[0], days[-1], to_the_end=True) == days


def planned(first: str, last: str, *, to_the_end: bool = False) -> list[str | None]:
    """The partitions of the runs that a backfill of `news.ingest` would have."""
    from airflow.models.backfill import ReprocessBehavior, _do_dry_run
    from airflow.utils.session import create_session

    begin, end = (datetime.fromisoformat(day).replace(tzinfo=UTC) for day in (first, last))
    with create_session() as session:
        runs = _do_dry_run(
            dag_id="news.ingest",
            from_date=begin,
            to_date=end + timedelta(hours=23, minutes=59, seconds=59) * to_the_end,
            reverse=False,
            reprocess_behavior=ReprocessBehavior.COMPLETED,
            session=session,
        )
        return [run.partition_key for run in runs]
