"""Answers that come apart from their rows, days late, by the real stages on real tables."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lakeloop.attempt import Attempt
from lakeloop.spec.loop import LoopSpec
from lakeloop.stages.data.labels import labels
from lakeloop.stages.data.transform import transform
from lakeloop.stages.data.validate import validate
from lakeloop.stages.frame.labelled import days_told
from lakeloop.stages.frame.pending import work_left
from lakeloop.stages.frame.run import run
from lakeloop.stages.frame.session import StageContext
from lakeloop.stages.frame.status import loop_status
from tests.support.dbt_project import write_dbt_project
from tests.support.small_loop import small_context, small_loop

pytestmark = pytest.mark.slow

FIRST, SECOND, LATER = "2026-01-01", "2026-01-02", "2026-01-05"
ROWS = {"kind": "files", "path": "drops/{partition}.jsonl", "key": "id"}
LABELS = {
    "kind": "files",
    "path": "labels/{partition}.csv",
    "format": "csv",
    "key": "ticket",
    "event_time": "said",
    "columns": {"ticket": "string", "label": "string", "said": "timestamp"},
}


def loop(**sections: Any) -> LoopSpec:
    return small_loop(
        **{
            "source": {**ROWS, "columns": {"id": "string", "text": "string"}},
            "labels": LABELS,
            "checks": {"max_quarantined_share": 1},
            **sections,
        }
    )


def opened(folder: Path, spec: LoopSpec | None = None) -> StageContext:
    return small_context(folder, spec or loop(), Attempt.local())


def put_rows(folder: Path, day: str, *keys: str, **more: Any) -> None:
    lines = [json.dumps({"id": key, "text": f"a text about {key}", **more}) for key in keys]
    (folder / f"drops/{day}.jsonl").write_text("".join(f"{line}\n" for line in lines))


def put_labels(folder: Path, day: str, *told: Sequence[str]) -> None:
    with (folder / f"labels/{day}.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("ticket", "label", "said"), *told])


def mart(context: StageContext) -> dict[str, str]:
    rows = context.lake.read("mart", columns=["row_id", context.loop.task.target]).to_pylist()
    return {row["row_id"]: row[context.loop.task.target] for row in rows}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_dbt_project(tmp_path / "dbt")
    (tmp_path / "drops").mkdir()
    (tmp_path / "labels").mkdir()
    return tmp_path


def build(context: StageContext, *days: str) -> None:
    for day in days:
        for stage in (transform, validate):
            stage(context, day)


def test_rows_wait_for_labels_that_come_days_later(folder: Path) -> None:
    context = opened(folder)
    put_rows(folder, FIRST, "a", "b", "c")
    run(context, [FIRST])
    status = loop_status(context)
    assert mart(context) == {}
    assert (status.totals.read, status.totals.waiting, status.totals.quarantined) == (3, 3, 0)
    assert status.partitions[0].reconciled
    assert status.partitions[0].in_the_mart == "no; 3 rows wait for their label"
    assert not [step for step in status.pending if step.stage in ("transform", "validate")]

    put_labels(folder, LATER, ("a", "tech", "2026-01-05"), ("c", "sports", "2026-01-05"), ("z", "tech", ""))
    assert [(step.stage, step.partition) for step in work_left(context)] == [("labels", LATER)]
    record = labels(context, LATER)
    assert "of 2 rows of 1 day, 1 wait for their row" in record.reason
    assert days_told(record) == [FIRST]
    assert [(step.stage, step.partition) for step in work_left(context)] == [("transform", FIRST)]
    build(context, FIRST)
    assert mart(context) == {"a": "tech", "c": "sports"}
    assert loop_status(context).partitions[0].in_the_mart == "yes; 1 row waits for its label"
    assert work_left(context) == []


def test_a_label_waits_for_its_row(folder: Path) -> None:
    context = opened(folder)
    put_labels(folder, FIRST, ("a", "tech", "2026-01-01"))
    put_rows(folder, SECOND, "a")
    run(context, [FIRST, SECOND])
    assert mart(context) == {"a": "tech"}


def test_the_newest_counts_whatever_comes_first_and_all_are_kept(folder: Path) -> None:
    context = opened(folder)
    put_rows(folder, FIRST, "a", "b")
    put_labels(folder, FIRST, ("a", "tech", "2026-01-03"), ("b", "tech", "2026-01-01"))
    put_labels(folder, SECOND, ("a", "sports", "2026-01-02"), ("b", "sports", "2026-01-02"))
    run(context, [FIRST])
    assert mart(context) == {"a": "tech", "b": "tech"}
    run(context, [SECOND])
    assert mart(context) == {"a": "tech", "b": "sports"}
    assert context.lake.read("labels").num_rows == 4


def test_the_same_labels_again_change_nothing(folder: Path) -> None:
    context = opened(folder)
    put_rows(folder, FIRST, "a")
    put_labels(folder, FIRST, ("a", "tech", "2026-01-01"))
    run(context, [FIRST])
    versions = [context.lake.version(table) for table in ("raw", "labels", "staging", "mart", "ledger")]
    assert labels(context, FIRST).status == "unchanged"
    put_labels(folder, SECOND, ("a", "tech", "2026-01-02"))
    record = labels(context, SECOND)
    assert (record.status, days_told(record)) == ("done", [FIRST])
    assert work_left(context) == []  # the same label is no news
    assert transform(context, FIRST).status == "unchanged"
    assert versions[2:4] == [context.lake.version(table) for table in ("staging", "mart")]


def test_an_impossible_label_is_quarantined_and_a_right_one_brings_the_row_in(folder: Path) -> None:
    context = opened(folder)
    put_rows(folder, FIRST, "a", "b")
    put_labels(folder, FIRST, ("a", "nonsense", "2026-01-01"), ("b", "tech", "2026-01-01"), ("", "tech", ""))
    run(context, [FIRST])
    assert mart(context) == {"b": "tech"}
    bad = context.lake.read("quarantine").to_pylist()
    assert {(row["stage"], row["reason"], row["row_key"]) for row in bad} == {
        ("validate", "label_unknown", "a"),
        ("labels", "null_key", None),
    }
    put_labels(folder, SECOND, ("a", "sports", "2026-01-02"))
    run(context, [SECOND])
    assert mart(context) == {"a": "sports", "b": "tech"}
    assert [row["stage"] for row in context.lake.read("quarantine").to_pylist()] == ["labels"]


def test_labels_that_are_taken_back_take_their_rows_out(folder: Path) -> None:
    context = opened(folder)
    put_rows(folder, FIRST, "a")
    put_labels(folder, FIRST, ("a", "tech", "2026-01-01"))
    run(context, [FIRST])
    put_labels(folder, FIRST)
    assert ("labels", FIRST) in [(step.stage, step.partition) for step in work_left(context)]
    run(context, [FIRST])
    assert mart(context) == {}
    assert loop_status(context).totals.waiting == 1


def test_a_row_may_bring_a_label_and_a_newer_one_comes_later(folder: Path) -> None:
    columns = {"id": "string", "text": "string", "label": "string"}
    context = opened(folder, loop(source={**ROWS, "columns": columns}))
    put_rows(folder, FIRST, "a", "b", label="tech")
    put_rows(folder, SECOND, "c", label=None)
    put_labels(folder, LATER, ("a", "sports", "2026-01-05"))
    run(context, [FIRST, SECOND])
    assert mart(context) == {"a": "tech", "b": "tech"}
    run(context, [LATER])
    assert mart(context) == {"a": "sports", "b": "tech"}
    assert loop_status(context).totals.waiting == 1
