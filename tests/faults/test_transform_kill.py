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
from lakeloop.stages.catalogue import stage_named
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
from tests.faults.test_transform_kill import run

run(Path(sys.argv[1]), 1, sys.argv[2])
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


def run(folder: Path, attempt: int, stage: str) -> StageRecord:
    context = small_context(folder, attempt=Attempt("killed", attempt))
    return stage_named(stage).function(context, DAY)


def run_until(point: str, folder: Path, root: Path, stage: str) -> subprocess.CompletedProcess[str]:
    """Run the stage as a process that dies at `point`."""
    environment = {**os.environ, "LAKELOOP_FAULT": point, "PYTHONPATH": str(root)}
    argv = [sys.executable, "-c", CODE, str(folder), stage]
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
    killed = run_until(point, tmp_path, root, stage)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    # Nobody has said that it is done, whatever has been written.
    assert context.lake.ledger.latest(stage, DAY) is None
    published = context.lake.read("mart", partition=DAY).num_rows
    assert published == (60 if point == "validate.after-publish" else 0)

    assert run(tmp_path, 2, stage).status == "done"
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

    assert run(tmp_path, 3, stage).status == "unchanged"
