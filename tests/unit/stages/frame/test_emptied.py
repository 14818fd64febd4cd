"""A day that loses all its records to another one, in files that stay, has no rows any more."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lakeloop.stages.frame.pending import work_left
from lakeloop.stages.frame.session import StageContext
from tests.support.quick_stages import quick
from tests.support.small_loop import DAYS, small_loop
from tests.unit.stages.frame.test_readmit import ids, opened, run_day

FIRST, MIDDLE, LAST = DAYS
SOURCE = {
    **small_loop().source.model_dump(exclude_none=True),
    "path": "drops/*.jsonl",
    "partition_by": "at",
    "columns": {"id": "string", "text": "string", "label": "string", "at": "date"},
}


def put(folder: Path, file: str, **days: str) -> None:
    """A file with a row for each key of `days`, and the broken record that goes with it."""
    lines = []
    for key, day in days.items():
        row = {"id": key, "text": f"story {key}", "label": "tech", "at": day.replace("_", "-")}
        lines += [json.dumps(row), "broken"]
    (folder / "drops").mkdir(exist_ok=True)
    (folder / f"drops/{file}.jsonl").write_text("".join(f"{line}\n" for line in lines))


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StageContext:
    quick(monkeypatch, tmp_path / "dbt")
    put(tmp_path, "one", a=FIRST, b=MIDDLE)
    put(tmp_path, "two", c=MIDDLE, d=LAST)
    context = opened(tmp_path, source=SOURCE)
    for day in DAYS:
        run_day(context, day)
    return context


def due(context: StageContext) -> list[tuple[str, str]]:
    return [(step.partition, step.reason) for step in work_left(context) if step.stage == "ingest"]


def test_its_rows_go_when_all_its_records_are_of_another_day(context: StageContext, tmp_path: Path) -> None:
    put(tmp_path, "one", a=FIRST, b=LAST)
    assert due(context) == [
        (MIDDLE, f"the drop of {MIDDLE} is another one since it was ingested"),
        (LAST, f"the drop of {LAST} is another one since it was ingested"),
    ]
    put(tmp_path, "two", c=LAST, d=LAST)
    assert (MIDDLE, f"no record of {MIDDLE} is left in the files that had them") in due(context)
    for day in (MIDDLE, LAST):
        run_day(context, day)
    assert due(context) == []
    assert (ids(context, MIDDLE), ids(context, LAST)) == ([], ["b", "c", "d"])
    assert context.lake.read("quarantine", partition=MIDDLE).num_rows == 0
    ended = context.lake.ledger.latest("ingest", MIDDLE)
    assert ended is not None
    assert ended.counts is not None
    assert ended.counts.read == 0
    put(tmp_path, "two", c=MIDDLE, d=LAST)
    assert MIDDLE in dict(due(context))
    run_day(context, MIDDLE)
    assert ids(context, MIDDLE) == ["c"]


def test_its_rows_stay_when_a_file_of_it_was_taken_away(context: StageContext, tmp_path: Path) -> None:
    put(tmp_path, "one", a=FIRST, b=LAST)
    (tmp_path / "drops/two.jsonl").unlink()
    assert MIDDLE not in dict(due(context))
    run_day(context, MIDDLE)
    assert ids(context, MIDDLE) == ["b", "c"]


def test_a_day_before_the_first_is_done_when_it_is_asked_for(context: StageContext, tmp_path: Path) -> None:
    put(tmp_path, "one", a=MIDDLE, b=MIDDLE)
    assert FIRST not in dict(due(context))
    run_day(context, FIRST)
    assert ids(context, FIRST) == []
