"""A loop that somebody has just begun: `lakeloop new`, a day's file, `lakeloop run`.

The templates fit the dbt macros, the sources and the checks as they are today.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from lakeloop.lake.store import Lake
from lakeloop.settings import Settings
from tests.support.command import Ended, run_lakeloop

DAY = "2026-11-20"


@pytest.fixture
def project(root: Path, tmp_path: Path) -> Path:
    """A project without loops, with the macros and tests of the real dbt project."""
    (tmp_path / "loops").mkdir()
    shutil.copytree(root / "dbt", tmp_path / "dbt", ignore=shutil.ignore_patterns("target", "logs", "models"))
    return tmp_path


def lakeloop(project: Path, *argv: str) -> Ended:
    ended = run_lakeloop(argv, {"LAKELOOP_ROOT": str(project)})
    assert ended.code == 0, ended.err
    return ended


@pytest.mark.slow
def test_a_loop_that_was_begun_with_new_runs_to_the_mart(project: Path) -> None:
    lakeloop(project, "new", "reviews")
    rows = [
        {"id": f"r{n}", "created_at": f"{DAY}T10:00:00Z", "text": f"Text number {n}", "label": label}
        for n, label in enumerate(["first", "second", "first", "third"])
    ]
    rows.append({**rows[0], "id": "r9", "text": "text NUMBER 0!"})
    (project / "data/reviews").mkdir(parents=True)
    (project / f"data/reviews/{DAY}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    file = project / "loops/reviews/loop.yaml"
    file.write_text(file.read_text().replace("checks:\n", "checks:\n  max_quarantined_share: 0.5\n"))

    ran = lakeloop(project, "run", "reviews", "--to", DAY, "--json")
    counts = {record["stage"]: record["counts"] for record in json.loads(ran.out)}
    assert counts == {
        "ingest": {"read": 5, "accepted": 5, "quarantined": 0, "duplicates": 0},
        "transform": {"read": 5, "accepted": 5, "quarantined": 0, "duplicates": 0},
        "validate": {"read": 5, "accepted": 3, "quarantined": 1, "duplicates": 1},
    }

    again = lakeloop(project, "run", "reviews", "--to", DAY)
    assert [line.split()[1] for line in again.err.splitlines() if line] == ["plan"]
    assert [line.split()[:2] for line in again.out.splitlines()[1:4]] == [
        ["ingest", "1"],
        ["transform", "1"],
        ["validate", "1"],
    ]
    assert "unchanged" in again.out.splitlines()[0]


@pytest.mark.slow
def test_models_that_were_taken_over_build_the_same_until_they_are_changed(project: Path) -> None:
    lakeloop(project, "new", "reviews")
    assert not (project / "dbt/models").exists()
    rows = [
        {"id": f"r{n}", "created_at": f"{DAY}T10:00:00Z", "text": f"Text number {n}", "label": label}
        for n, label in enumerate(["first", "second", "first"])
    ]
    (project / "data/reviews").mkdir(parents=True)
    (project / f"data/reviews/{DAY}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    lakeloop(project, "run", "reviews", "--to", DAY)
    lakeloop(project, "eject", "reviews")
    assert record_of(project, "transform")["status"] == "unchanged"

    staging = project / "dbt/models/reviews/staging/stg_reviews.sql"
    staging.write_text(staging.read_text().replace("'raw')", "'raw'), text=\"text || ' of ' || id\""))
    assert record_of(project, "transform")["status"] == "done"
    assert record_of(project, "validate")["status"] == "done"
    mart = Lake(Settings(root=project).lake, "reviews").read("mart").sort_by("row_id")
    assert mart["text"].to_pylist() == [f"Text number {n} of r{n}" for n in range(3)]


def record_of(project: Path, stage: str) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(lakeloop(project, stage, "reviews", "--partition", DAY, "--json").out)
    return record


@pytest.mark.slow
def test_a_loop_of_numbers_that_was_begun_with_new_runs_to_the_mart(project: Path) -> None:
    lakeloop(project, "new", "ratings", "--task", "regression")
    values = [0.5, -1.25, 3.0, None, 2.0]
    rows = [
        {"id": f"r{n}", "created_at": f"{DAY}T10:00:00Z", "text": f"Text number {n}", "value": value}
        for n, value in enumerate(values)
    ]
    (project / "data/ratings").mkdir(parents=True)
    (project / f"data/ratings/{DAY}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    file = project / "loops/ratings/loop.yaml"
    file.write_text(
        file.read_text()
        .replace("  value: value #", "  maximum: 2.5\n  value: value #")
        .replace("checks:\n", "checks:\n  max_quarantined_share: 0.5\n")
    )

    ran = lakeloop(project, "run", "ratings", "--to", DAY, "--json")
    records = {record["stage"]: record for record in json.loads(ran.out)}
    assert records["validate"]["counts"] == {"read": 5, "accepted": 3, "quarantined": 2, "duplicates": 0}
    assert "target_missing 1" in records["validate"]["reason"]
    assert "target_too_large 1" in records["validate"]["reason"]


@pytest.mark.slow
def test_a_lake_is_moved_to_columns_of_other_types_and_the_mart_is_made_of_them(project: Path) -> None:
    lakeloop(project, "new", "reviews")
    file, other_day = project / "loops/reviews/loop.yaml", "2026-11-21"
    typed = file.read_text().replace("checks:\n", "checks:\n  max_quarantined_share: 0.5\n")
    assert typed.count("created_at: timestamp") == typed.count("  event_time: created_at") == 1
    as_text = typed.replace("created_at: timestamp", "created_at: string").replace(
        "  event_time: created_at", "  # event_time: created_at"
    )
    file.write_text(as_text)
    (project / "data/reviews").mkdir(parents=True)
    for day in (DAY, other_day):
        rows = [
            {"id": f"{day}-{n}", "created_at": f"{day}T0{n}:30:00+01:00", "text": f"Text {n}", "label": label}
            for n, label in enumerate(["first", "second"])
        ]
        (project / f"data/reviews/{day}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    lakeloop(project, "run", "reviews", "--from", DAY, "--to", other_day)
    assert event_times(project) == [None] * 4

    (project / f"data/reviews/{other_day}.jsonl").unlink()
    file.write_text(typed)
    lakeloop(project, "evolve", "reviews", "--yes")
    (status,) = json.loads(lakeloop(project, "status", "reviews", "--json").out)
    due = [(work["stage"], work["partition"]) for work in status["pending"]]
    assert due[:2] == [("transform", DAY), ("transform", other_day)]
    lakeloop(project, "run", "reviews", "--from", DAY, "--to", DAY)
    for stage in ("transform", "validate"):  # nothing but the lake has this day any more
        lakeloop(project, stage, "reviews", "--partition", other_day)
    assert event_times(project) == [
        f"{day}T{hour}:30:00+00:00"
        for day, hour in (("2026-11-19", 23), (DAY, "00"), (DAY, 23), (other_day, "00"))
    ]


def event_times(project: Path) -> list[str | None]:
    """Of all rows of the mart, oldest first."""
    mart = Lake(Settings(root=project).lake, "reviews").read("mart").sort_by("row_id")
    return [time and time.isoformat() for time in mart["event_time"].to_pylist()]
