"""A loop made from an export by one command, and run without a hand on it."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.integration.test_new_loop import lakeloop, project  # noqa: F401  (a fixture)

DAYS = 4
ROWS = 120


def write_export(path: Path) -> dict[str, int]:
    """An export as a ticket system makes it, all days in one file; returns the tickets of each day.

    Line ends in quoted texts, names of columns in mixed case with blanks, US dates, three columns too many.
    """
    chance = random.Random(7)
    words = {
        "Billing": ["invoice", "refund", "charged twice", "credit card"],
        "Delivery": ["parcel", "courier", "late", "lost in the post"],
    }
    days: dict[str, int] = {}
    path.parent.mkdir(parents=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["Ticket No", "Customer Text", "Opened On", "Assigned Team", "Agent", "Minutes", "Source URL"]
        )
        for number in range(ROWS):
            team = chance.choice(sorted(words))
            day, hour = number * DAYS // ROWS + 12, chance.randint(1, 11)
            said = ", ".join(chance.sample(words[team], 2))
            text = f'Hello,\n\nit says "{said}", number {number}.\r\nBye, {chance.choice("abc")}'
            opened = f"11/{day}/2025 {hour}:05 {chance.choice(['AM', 'PM'])}"
            writer.writerow([number, text, opened, team, f"agent {number % 3}", number / 2, "https://x/y,z"])
            days[f"2025-11-{day}"] = days.get(f"2025-11-{day}", 0) + 1
    return days


@pytest.mark.slow
def test_an_export_with_many_days_becomes_a_loop_that_runs_untouched(project: Path) -> None:  # noqa: F811
    days = write_export(project / "data/export.csv")
    said = lakeloop(project, "new", "tickets", "--from", "data/export.csv", "--yes").out
    assert "key     Ticket No" in said
    assert "4 day(s) there, 2025-11-12 to 2025-11-15; of the first 120 records 120 are rows" in said
    assert "ok  tickets" in lakeloop(project, "check", "tickets").out
    ran = lakeloop(project, "run", "tickets", "--json", "--to", "2025-11-12")
    published = {
        record["partition"]: record["counts"]
        for record in json.loads(ran.out)
        if record["stage"] == "validate"
    }
    rows = days["2025-11-12"]
    assert published == {"2025-11-12": {"read": rows, "accepted": rows, "quarantined": 0, "duplicates": 0}}


@pytest.mark.slow
def test_a_lake_in_folders_of_days_becomes_a_loop_that_ingests_it(project: Path) -> None:  # noqa: F811
    for day in ("2026-11-02", "2026-11-03"):
        folder = project / f"lake/dt={day}"
        folder.mkdir(parents=True)
        rows = [{"id": f"{day}-{n}", "text": f"where is it {n}", "team": "ab"[n % 2]} for n in range(20)]
        for part in (0, 1):
            pq.write_table(pa.Table.from_pylist(rows[part::2]), folder / f"part-{part}.parquet")
        (folder / "_SUCCESS").touch()
    said = lakeloop(project, "new", "tickets", "--from", "lake", "--yes").out
    assert "lake/dt={partition}/*.parquet: parquet, all 40 records looked at" in said
    assert "2 day(s) there, 2026-11-02 to 2026-11-03; of the first 40 records 40 are rows" in said
    ran = lakeloop(project, "ingest", "tickets", "--partition", "2026-11-02", "--json").out
    counts = json.loads(ran)["counts"]
    assert (counts["read"], counts["accepted"]) == (20, 20)
