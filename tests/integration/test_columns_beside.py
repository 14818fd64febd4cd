"""Columns beside the text come and go in a loop that has rows: its days are built again, nothing is lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lakeloop.attempt import Attempt
from lakeloop.errors import DataError
from lakeloop.stages.data.ingest import ingest
from lakeloop.stages.data.transform import transform
from lakeloop.stages.data.validate import validate
from lakeloop.stages.frame.session import StageContext
from lakeloop.stages.frame.status import loop_status
from lakeloop.stages.training.dataset import dataset
from tests.support.dbt_project import write_dbt_project
from tests.support.small_loop import LABELS, small_context, small_loop

pytestmark = pytest.mark.slow

DAYS = ("2026-11-16", "2026-11-17")
PLAIN = {"text": "text", "label": "label", "labels": LABELS}
BESIDE = {**PLAIN, "numeric": ["amount"]}


def open_context(tmp_path: Path, task: dict[str, Any]) -> StageContext:
    columns = {"id": "string", "text": "string", "label": "string", "amount": "integer"}
    source = {"kind": "files", "path": "drops/{partition}.jsonl", "key": "id", "columns": columns}
    return small_context(tmp_path, small_loop(source=source, task=task), Attempt.local())


def drop(context: StageContext, day: str) -> None:
    path = context.settings.root / f"drops/{day}.jsonl"
    path.parent.mkdir(exist_ok=True)
    rows = [
        {"id": f"{day}-{n}", "text": f"story {day} {n}", "label": LABELS[n % 3], "amount": n}
        for n in range(40)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def due(context: StageContext) -> dict[str, str]:
    """Day -> why it is to be transformed."""
    found = loop_status(context)
    assert not found.misfit
    return {step.partition: step.reason for step in found.pending if step.stage == "transform"}


def test_a_column_that_comes_and_goes_makes_its_days_due_and_no_data_set_before(tmp_path: Path) -> None:
    plain = open_context(tmp_path, PLAIN)
    write_dbt_project(plain.settings.dbt, "other")  # that of this loop is generated
    for day in DAYS:
        drop(plain, day)
        ingest(plain, day), transform(plain, day), validate(plain, day)
    first = dataset(plain, DAYS[-1])
    assert due(plain) == {}

    beside = open_context(tmp_path, BESIDE)
    said = "was built when task.numeric was none, and is amount now"
    assert due(beside) == {day: f"{day} {said}" for day in DAYS}
    with pytest.raises(
        DataError, match=r"(?s)2026-11-16, 2026-11-17: 2 day.*--from 2026-11-16 --to 2026-11-17"
    ):
        dataset(beside, DAYS[-1])
    transform(beside, DAYS[0]), validate(beside, DAYS[0])
    with pytest.raises(DataError, match=r"small: 2026-11-17: 1 day"):
        dataset(beside, DAYS[-1])
    transform(beside, DAYS[1]), validate(beside, DAYS[1])
    assert due(beside) == {}
    assert dataset(beside, DAYS[-1]).outputs["digest"] != first.outputs["digest"]
    amounts = beside.lake.read("mart", partition=DAYS[0])["feature_amount"].to_pylist()
    assert sorted(amounts) == [float(n) for n in range(40)]

    again = open_context(tmp_path, PLAIN)
    for day in DAYS:
        assert "task.numeric was amount, and is none now" in due(again)[day]
        transform(again, day), validate(again, day)
    assert dataset(again, DAYS[-1]).outputs["digest"] == first.outputs["digest"]
    assert again.lake.read("mart")["feature_amount"].null_count == 80


def test_rows_that_cannot_be_carried_over_are_told_by_status(tmp_path: Path) -> None:
    context = open_context(tmp_path, BESIDE)
    write_dbt_project(context.settings.dbt, "other")  # that of this loop is generated
    drop(context, DAYS[0])
    ingest(context, DAYS[0]), transform(context, DAYS[0]), validate(context, DAYS[0])
    changed = small_loop(source=context.loop.source, task={**PLAIN, "categorical": ["amount"]})
    found = loop_status(StageContext(changed, context.lake, context.settings, context.attempt))
    assert "feature_amount (task.categorical): double in the table, string declared" in found.misfit
    assert "lakeloop reset small --all" in found.misfit
    assert [day.partition for day in found.partitions] == [DAYS[0]]


def test_an_answer_that_no_published_row_has_is_told_by_the_day(tmp_path: Path) -> None:
    """And no more once a row of any day has it."""
    context = open_context(tmp_path, PLAIN | {"labels": [*LABELS, "science"]})
    write_dbt_project(context.settings.dbt, "other")
    for day in DAYS:
        drop(context, day)
    path = context.settings.root / f"drops/{DAYS[1]}.jsonl"
    path.write_text(path.read_text().replace("tech", "science"))
    said = []
    for day in DAYS:
        ingest(context, day), transform(context, day)
        said.append(validate(context, day).reason)
    assert "; no row has science, rows have business 14, sports 13, tech 13: models are trained" in said[0]
    assert "no row has" not in said[1]
