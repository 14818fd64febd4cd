"""What is known only later."""

from __future__ import annotations

from datetime import UTC, date, datetime

from tests.support.dealt import clean_rows, found, leaky_loop, report

DAY, NEXT = "2026-11-16", "2026-11-17"


def test_a_moment_after_the_day_of_its_row_is_found() -> None:
    rows = clean_rows(60, days=(DAY,))
    raw = {"at": [datetime(2026, 11, 16 + (n == 7), 23, 59, tzinfo=UTC) for n in range(60)]}
    leak = found(rows, leaky_loop(), raw)["future"]
    assert (leak.column, leak.rows) == ("at", 1)
    assert leak.examples[0].row == "r7"
    assert "2026-11-17 23:59" in leak.examples[0].said


def test_a_day_is_one_of_the_loops_time_zone() -> None:
    rows = clean_rows(40, days=(DAY,))
    raw = {"at": [datetime(2026, 11, 17, 4, tzinfo=UTC)] * 40}  # still the 16th in New York
    assert "future" in found(rows, leaky_loop(), raw)
    assert found(rows, leaky_loop(schedule={"timezone": "America/New_York"}), raw) == {}


def test_a_date_that_is_rightly_later_can_be_ignored() -> None:
    rows = clean_rows(40, days=(DAY,))
    raw = {"due": [date(2026, 12, 1)] * 20 + [None] * 20}
    assert found(rows, leaky_loop(), raw)["future"].rows == 20
    assert found(rows, leaky_loop(leaks={"ignore": ["due"]}), raw) == {}
    assert found(rows, leaky_loop(leaks={"skip": ["future"]}), raw) == {}


def test_a_test_row_of_a_split_by_time_that_happened_before_the_test_days_is_found() -> None:
    source = leaky_loop().source.model_dump(mode="json") | {"event_time": "at"}
    loop = leaky_loop(source=source, split={"by": "time", "test_days": 1})
    rows = clean_rows(60, days=(DAY, NEXT))
    raw = {"at": [datetime(2026, 11, 16 + n % 2, 9, tzinfo=UTC) for n in range(60)]}
    assert found(rows, loop, raw) == {}
    raw["at"][5] = datetime(2026, 11, 14, tzinfo=UTC)
    leak = found(rows, loop, raw)["future"]
    assert (leak.rows, leak.examples[0].row) == (1, "r5")
    assert "older than 2026-11-17" in leak.found


def test_without_times_there_is_nothing_to_look_at() -> None:
    columns = {"id": "string", "text": "string", "label": "string"}
    source = {"kind": "files", "path": "drops/{partition}.jsonl", "key": "id", "columns": columns}
    task = {
        "kind": "classification",
        "text": "text",
        "label": "label",
        "labels": ["refund", "delivery", "account"],
    }
    assert "no timestamp" in report(clean_rows(40), leaky_loop(task, source=source)).not_looked["future"]
