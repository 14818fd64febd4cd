"""Transform and validate killed at each of their points and run again: the same digests, nothing doubled."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lakeloop.attempt import Attempt
from lakeloop.records import StageRecord
from lakeloop.stages.data.ingest import ingest
from lakeloop.stages.data.transform import transform
from lakeloop.stages.data.validate import validate
from lakeloop.stages.frame.session import StageContext
from tests.support.dbt_project import write_dbt_project
from tests.support.small_loop import LABELS, small_context

pytestmark = pytest.mark.slow

DAY = "2026-11-16"
ROWS = [
    *({"id": f"k{n}", "text": f"story {n}", "label": LABELS[n % 3]} for n in range(60)),
    {"id": "near", "text": "STORY 7.", "label": "tech"},
    {"id": "bad", "text": "no such desk", "label": "cooking"},
]
CODE = """
import sys
from pathlib import Path
from lakeloop.attempt import Attempt
from lakeloop.stages.catalogue import stage_named
from tests.support.small_loop import small_context

context = small_context(Path(sys.argv[1]), attempt=Attempt("killed", int(sys.argv[2])))
print(stage_named(sys.argv[3]).function(context, sys.argv[4]).status)
"""
POINTS = (
    "transform.before-commit",
    "transform.after-commit",
    "validate.before-publish",
    "validate.after-publish",
)


def project(folder: Path) -> StageContext:
    context = small_context(folder)
    write_dbt_project(context.settings.dbt)
    (folder / "drops").mkdir()
    (folder / "drops" / f"{DAY}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    ingest(context, DAY)
    return context


def run(
    folder: Path, root: Path, attempt: int, stage: str, point: str = ""
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LAKELOOP_FAULT": point, "PYTHONPATH": str(root)}
    argv = [sys.executable, "-c", CODE, str(folder), str(attempt), stage, DAY]
    return subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=240, check=False)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, StageRecord]:
    """The records of a run that nobody killed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        context = project(tmp_path_factory.mktemp("undisturbed"))
        return {"transform": transform(context, DAY), "validate": validate(context, DAY)}


@pytest.mark.parametrize("point", POINTS)
def test_killed_and_run_again(
    tmp_path: Path, root: Path, point: str, undisturbed: dict[str, StageRecord]
) -> None:
    context, stage = project(tmp_path), point.partition(".")[0]
    if stage == "validate":
        transform(context, DAY)
    killed = run(tmp_path, root, 1, stage, point)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    # Nobody has said that it is done, whatever has been written.
    assert context.lake.ledger.latest(stage, DAY) is None
    published = context.lake.read("mart", partition=DAY).num_rows
    assert published == (60 if point == "validate.after-publish" else 0)

    again = run(tmp_path, root, 2, stage)
    assert again.returncode == 0, again.stderr
    assert again.stdout.strip() == "done"
    lake = context.lake
    expected = undisturbed[stage].outputs
    if stage == "transform":
        assert lake.digest("staging", partition=DAY) == expected["staging"]
    else:
        assert lake.digest("mart", partition=DAY) == expected["mart"]
        assert lake.digest("quarantine", partition=DAY, stage="validate") == expected["quarantine"]
    assert [entry.status for entry in lake.ledger.entries(stage, DAY)] == ["done"]
    record = lake.ledger.latest(stage, DAY)
    assert record is not None
    assert record.counts == undisturbed[stage].counts

    after = small_context(tmp_path, attempt=Attempt("killed", 3))
    assert (transform if stage == "transform" else validate)(after, DAY).status == "unchanged"
