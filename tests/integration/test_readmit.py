"""Rows of the quarantine mended and let in, by the real stages: dbt builds, Great Expectations judge the day.

And killed where corrections are kept and nothing else is done yet, and in the middle of the day.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lakeloop.attempt import Attempt
from lakeloop.quality.quarantine import Wanted
from lakeloop.spec.loop import LoopSpec
from lakeloop.stages.frame.edit_files import read_edits
from lakeloop.stages.frame.edited import look_at_edits, write_to_edit
from lakeloop.stages.frame.pending import work_left
from lakeloop.stages.frame.readmit import correct, look, readmit
from lakeloop.stages.frame.run import run
from lakeloop.stages.frame.session import StageContext
from lakeloop.stages.frame.status import loop_status
from tests.support.dbt_project import write_dbt_project
from tests.support.small_loop import small_context, small_loop

pytestmark = pytest.mark.slow

DAY = "2026-01-01"
SOURCE = {
    "kind": "files",
    "path": "drops/{partition}.jsonl",
    "key": "id",
    "columns": {"id": "string", "text": "string", "label": "string", "channel": "string", "n": "integer"},
}
# A label that nobody knows, in a row of which quarantine has to keep more than a mart has.
LINES = [
    {"id": "1", "text": "line one\n\nline   two", "label": "zzz", "channel": "web", "n": 7},
    {"id": "2", "text": "fine", "label": "a", "channel": "mail", "n": 8},
    {"id": "3", "text": "another", "label": "yyy", "channel": "mail", "n": 9},
]
CODE = """
import sys
from pathlib import Path
from tests.integration.test_readmit import mend
mend(Path(sys.argv[1]))
"""


def loop(*labels: str) -> LoopSpec:
    task = {"text": "text", "label": "label", "labels": ["a", "b", *labels]}
    return small_loop(source=SOURCE, task=task, checks={"max_quarantined_share": 1})


def opened(folder: Path, *labels: str) -> StageContext:
    return small_context(folder, loop(*labels), Attempt.local())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_dbt_project(tmp_path / "dbt")
    (tmp_path / "drops").mkdir()
    lines = [*map(json.dumps, LINES), '{"id": "4", "te']
    (tmp_path / f"drops/{DAY}.jsonl").write_text("".join(f"{line}\n" for line in lines))
    run(opened(tmp_path), [DAY])
    return tmp_path


def mend(folder: Path) -> None:
    """Give line 1 a known label, and make a row of line 4."""
    context = opened(folder)
    file = folder / "rows.jsonl"
    write_to_edit(context, Wanted(), file)
    rows = {row["quarantine.line"]: row for row in map(json.loads, file.read_text().splitlines())}
    made = [
        rows[1] | {"label": "b"},
        rows[4] | {"id": "4", "text": "mended", "label": "a", "channel": "web", "n": "10"},
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in made))
    edits = look_at_edits(context, read_edits(context, file), "typing", "ann")
    assert edits.problems == []
    correct(context, edits.corrections, lambda _: None)


def day_of(context: StageContext) -> tuple[int, int, int, bool]:
    (day,) = loop_status(context).partitions
    return day.read, day.accepted, day.quarantined, day.reconciled


def mart(context: StageContext) -> list[dict[str, Any]]:
    rows = context.lake.read("mart", partition=DAY).to_pylist()
    return sorted(({name: row[name] for name in ("row_id", "text", "label")} for row in rows), key=str)


def test_a_mended_loop_file_and_edited_rows_end_in_one_day(folder: Path) -> None:
    before = opened(folder)
    assert day_of(before) == (4, 1, 3, True)
    mended = opened(folder, "yyy")
    (step,) = [step for step in work_left(mended) if step.partition == DAY]
    assert (step.stage, step.reason) == (
        "validate",
        f'1 row(s) of {DAY} wait for re-admission: "yyy" is known now',
    )
    done = readmit(mended, Wanted(), look(mended, Wanted()), lambda _: None)
    assert [(one.come_in, one.exit_code) for one in done] == [(1, 0)]
    assert day_of(mended) == (4, 2, 2, True)
    mend_in = opened(folder, "yyy")
    mend(folder)  # by the loop file of before, which another person still has
    run(mend_in, [DAY])
    assert day_of(mend_in) == (4, 4, 0, True)
    assert mart(mend_in) == [
        {"row_id": "1", "text": "line one line two", "label": "b"},
        {"row_id": "2", "text": "fine", "label": "a"},
        {"row_id": "3", "text": "another", "label": "yyy"},
        {"row_id": "4", "text": "mended", "label": "a"},
    ]
    raw = {row["id"]: (row["text"], row["channel"], row["n"]) for row in mend_in.lake.read("raw").to_pylist()}
    assert raw["1"] == ("line one\n\nline   two", "web", 7), "what was not edited is as it was delivered"
    assert raw["4"] == ("mended", "web", 10)


@pytest.mark.parametrize(
    "point", ["readmit.after-corrections", "ingest.before-commit", "validate.before-publish"]
)
def test_killed_in_the_middle_the_old_day_stands_until_the_new_one_is_whole(
    folder: Path, root: Path, point: str
) -> None:
    published = opened(folder).lake.digest("mart", partition=DAY)
    environment = {**os.environ, "LAKELOOP_FAULT": point, "PYTHONPATH": str(root)}
    argv = [sys.executable, "-c", CODE, str(folder)]
    killed = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    context = opened(folder)
    assert context.lake.digest("mart", partition=DAY) == published, "the old day, whole"
    assert [step for step in work_left(context) if step.partition == DAY] != [], "and it is due"
    run(context, [DAY])
    assert day_of(context) == (4, 3, 1, True)
    assert [row["row_id"] for row in mart(context)] == ["1", "2", "4"]
    assert [step for step in work_left(context) if step.partition == DAY] == []
