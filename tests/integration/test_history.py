"""A day is compared with those published before it, and leaves what later days are compared with."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import pytest

from lakeloop.errors import DataError
from lakeloop.quality.profile import Profile
from lakeloop.stages.data.ingest import ingest
from lakeloop.stages.data.transform import transform
from lakeloop.stages.data.validate import validate
from lakeloop.stages.frame.session import StageContext
from tests.support.dbt_project import write_dbt_project
from tests.support.small_loop import small_context, small_loop

pytestmark = pytest.mark.slow

DAY = "2026-11-16"


def with_days_before(tmp_path: Path, days: int, **history: object) -> StageContext:
    """A loop that has published `days` days of some 300 rows, and has 30 rows to judge now."""
    context = small_context(tmp_path, small_loop(checks={"history": history or True}))
    write_dbt_project(context.settings.dbt)
    for number in range(days, 0, -1):
        labels = {"business": 100 + number, "sports": 100, "tech": 100 - number}
        kept = Profile(
            300, 300, 0, {"text": 0, "label": 0, "event_time": 300}, {"label": labels}, {"label": 3}
        )
        before = (date.fromisoformat(DAY) - timedelta(days=number)).isoformat()
        with context.stage("validate", before) as stage:
            stage.done(reason="300 rows", profile=kept.json())
    rows = [{"id": f"k{n}", "text": f"story {n}", "label": ("sports", "tech")[n % 2]} for n in range(30)]
    drop = tmp_path / f"drops/{DAY}.jsonl"
    drop.parent.mkdir()
    drop.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    ingest(context, DAY)
    transform(context, DAY)
    return context


def test_an_unusual_day_is_published_with_a_warning_and_leaves_its_own_numbers(tmp_path: Path) -> None:
    record = validate(with_days_before(tmp_path, 8), DAY)
    assert "2 warn: history_volume, history_shares_label" in record.reason
    assert record.metrics["checks/warned"] == 2
    assert Profile.of(record.profile) == Profile(
        30,
        30,
        0,
        {"text": 0, "label": 0, "event_time": 30},
        {"label": {"sports": 15, "tech": 15}},
        {"label": 2},
    )
    page = Path(record.links["data_docs"]).read_text()
    assert "as on the 8 days before" in page
    assert "<title>8 days before: 300 to 300; this day 30</title>" in page


def test_an_unusual_day_stops_where_the_file_says_so(tmp_path: Path) -> None:
    context = with_days_before(tmp_path, 8, severity="batch", shares=False)
    with pytest.raises(DataError, match="1 of") as caught:
        validate(context, DAY)
    assert "history_volume: 30" in caught.value.found
    assert context.lake.read("mart").num_rows == 0


def test_with_few_days_nothing_is_compared_and_the_record_says_so(tmp_path: Path) -> None:
    record = validate(with_days_before(tmp_path, 3), DAY)
    assert "6 not judged (not enough history: 3 of 7 days)" in record.reason
    assert record.metrics["checks/warned"] == 0
