"""Ingest killed at each of its points and run again: the same digests, nothing lost, nothing doubled."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from lakeloop.attempt import Attempt
from lakeloop.lake.delta import DeltaStore
from lakeloop.lake.upkeep import tidy_table
from lakeloop.stages.data.ingest import ingest
from lakeloop.stages.frame.session import StageContext
from tests.support.small_loop import small_context

DAY = "2026-11-16"
LINES = [
    *(json.dumps({"id": f"k{number}", "text": f"story {number}", "label": "tech"}) for number in range(200)),
    "broken",
    json.dumps({"id": "k7", "text": "story 7", "label": "tech"}),
]
CODE = """
import sys
from pathlib import Path
from lakeloop.attempt import Attempt
from lakeloop.lake.delta import DeltaStore
from lakeloop.lake.upkeep import tidy_table
from lakeloop.stages.data.ingest import ingest
from tests.support.small_loop import small_context

context = small_context(Path(sys.argv[1]), attempt=Attempt("killed", int(sys.argv[2])))
print(ingest(context, sys.argv[3]).status)
"""
POINTS = ("ingest.before-quarantine", "ingest.before-commit", "ingest.after-commit", "ingest.after-ledger")


def project(folder: Path) -> StageContext:
    (folder / "drops").mkdir(parents=True)
    (folder / "drops" / f"{DAY}.jsonl").write_text("".join(f"{line}\n" for line in LINES))
    return small_context(folder)


def run(folder: Path, root: Path, attempt: int, point: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LAKELOOP_FAULT": point, "PYTHONPATH": str(root)}
    argv = [sys.executable, "-c", CODE, str(folder), str(attempt), DAY]
    return subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Digests of a run that nobody killed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        record = ingest(project(tmp_path_factory.mktemp("undisturbed")), DAY)
    return {table: record.outputs[table] for table in ("raw", "quarantine")}


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_killed_and_run_again(tmp_path: Path, root: Path, point: str, undisturbed: dict[str, str]) -> None:
    context = project(tmp_path)
    killed = run(tmp_path, root, 1, point)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    again = ingest(small_context(tmp_path, attempt=Attempt("killed", 2)), DAY)
    assert again.status == ("unchanged" if point == "ingest.after-ledger" else "done")

    lake = context.lake
    assert lake.digest("raw", partition=DAY) == undisturbed["raw"]
    assert lake.digest("quarantine", partition=DAY, stage="ingest") == undisturbed["quarantine"]
    assert lake.read("raw").num_rows == 200
    assert Counter(lake.read("raw")["id"].to_pylist()) == Counter(f"k{number}" for number in range(200))
    assert lake.read("quarantine").num_rows == 1
    assert [entry.status for entry in lake.ledger.entries("ingest", DAY)] == ["done"]
    assert ingest(small_context(tmp_path, attempt=Attempt("killed", 3)), DAY).status == "unchanged"
    # What the killed process had written beside the table goes with the next maintenance.
    folder = Path(lake.uri("raw"))
    tidy_table(DeltaStore(str(folder.parent)), "raw", timedelta(0))
    assert len(list(folder.rglob("*.parquet"))) == 1
    assert lake.digest("raw", partition=DAY) == undisturbed["raw"]


@pytest.mark.slow
def test_an_attempt_that_is_stopped_and_woken_after_a_newer_one_changes_nothing(
    tmp_path: Path, root: Path, undisturbed: dict[str, str]
) -> None:
    """Two real processes: the first is frozen after its claim, the second does the work, the first wakes."""
    context = project(tmp_path)
    code = CODE.replace(
        "context =",
        "import os, signal\nfrom lakeloop.sources import intake\nread = intake.read_delivery\n"
        "def sleepy(*args):\n"
        "    taken = read(*args)\n"
        "    os.kill(os.getpid(), signal.SIGSTOP)\n"
        "    return taken\n"
        "intake.read_delivery = sleepy\ncontext =",
    )
    argv = [sys.executable, "-c", code, str(tmp_path), "1", DAY]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    sleeper = subprocess.Popen(argv, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        _, status = os.waitpid(sleeper.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        assert run(tmp_path, root, 2).stdout.strip() == "done"
        versions = [context.lake.version(table) for table in ("raw", "quarantine", "ledger")]
        sleeper.send_signal(signal.SIGCONT)
        _, errors = sleeper.communicate(timeout=60)
    finally:
        if sleeper.poll() is None:
            sleeper.kill()
    assert sleeper.returncode == 1
    assert "FenceError" in errors
    assert "a newer attempt took over" in errors
    assert versions == [context.lake.version(table) for table in ("raw", "quarantine", "ledger")]
    assert context.lake.digest("raw", partition=DAY) == undisturbed["raw"]
    assert [entry.provenance.try_number for entry in context.lake.ledger.entries("ingest", DAY)] == [2]
