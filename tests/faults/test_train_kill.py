"""A fine-tune that is killed at its named points and ordered again: one candidate, with the same digest."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lakeloop.artifact import open_artifact
from lakeloop.jobs import cancel
from lakeloop.records import StageRecord
from lakeloop.settings import Settings
from lakeloop.stages.frame.session import StageContext
from lakeloop.stages.training.dataset import dataset
from lakeloop.stages.training.train import train
from lakeloop.tracking.journal import read_journal
from tests.support.small_loop import DAYS, mart_rows, publish, small_context, small_loop
from tests.support.stored import stored_names

# Each try is a process that loads torch: half a minute on an idle machine, minutes on a busy one.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

DAY = DAYS[0]
SECTION = {
    "base_model": "models/tiny", "method": {"kind": "top_layers", "layers": 1}, "max_tokens": 24,
    "batch_size": 8, "epochs": 3, "patience": 3, "learning_rate": 3e-3,
}  # fmt: skip

_TRAIN = """
import sys
from pathlib import Path
from lakeloop.errors import LakeloopError, exit_code
from tests.faults.test_train_kill import open_project
from lakeloop.stages.training.train import train
try:
    train(open_project(Path(sys.argv[1])), sys.argv[2], "finetune")
except LakeloopError as error:
    sys.exit(exit_code(error))
"""


def open_project(folder: Path) -> StageContext:
    return small_context(folder, small_loop(train=SECTION))


@pytest.fixture(scope="module")
def make_project(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Iterator[Callable[[str], Path]]:
    """Make a project with the real training code, a tiny base model and one published day."""
    from tests.support.tiny_bert import make_base_model  # not where a try imports this module: it loads torch

    made: list[Path] = []

    def make(name: str) -> Path:
        folder = tmp_path_factory.mktemp(name)
        made.append(folder)
        (folder / "training").symlink_to(root / "training")
        make_base_model(folder / "models" / "tiny")
        context = open_project(folder)
        publish(context, DAY, mart_rows(DAY, 90))
        dataset(context, DAY)
        return folder

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAKELOOP_TRAINING_THREADS", "1")
        patch.setenv("WANDB_MODE", "disabled")
        yield make
    for folder in made:
        for job in Settings(root=folder).home.glob("work/*/*/*/job-*"):
            cancel(str(job))


def train_until(point: str, folder: Path, root: Path) -> int:
    """Run the stage as a process that dies, or whose job dies, at `point`; its exit code."""
    done = subprocess.run(
        [sys.executable, "-c", _TRAIN, str(folder), DAY],
        cwd=root,
        env={**os.environ, "LAKELOOP_FAULT": point},
        timeout=240,
        check=False,
    )
    return done.returncode


def tries(folder: Path) -> int:
    """How often the job began: a try that goes on from a checkpoint goes on with the journal too."""
    journals = open_project(folder).settings.journals / "small" / "train-finetune-job" / DAY
    entries = [entry for path in journals.glob("*.jsonl") for entry in read_journal(path)]
    return sum(entry.kind == "open" for entry in entries)


def assert_one_whole_candidate(folder: Path, record: StageRecord, digest: str) -> None:
    context = open_project(folder)
    assert record.status == "done"
    assert record.outputs["digest"] == digest
    assert [entry.outputs["digest"] for entry in context.lake.ledger.entries("train-finetune")] == [digest]
    assert stored_names(context.lake.files, "candidates") == [record.outputs["artifact"]]
    fetched = context.lake.files.fetch(record.outputs["artifact"], folder / "fetched")
    assert open_artifact(fetched).digest == digest


@pytest.fixture(scope="module")
def found_again(make_project: Callable[[str], Path], root: Path) -> tuple[Path, StageRecord]:
    """A project whose stage was killed while its job went on, and the record of its next try."""
    folder = make_project("after-submit")
    assert train_until("train.after-submit", folder, root) == -signal.SIGKILL
    return folder, train(open_project(folder), DAY, "finetune")


def test_killed_after_submitting_it_finds_its_job_again(found_again: tuple[Path, StageRecord]) -> None:
    folder, record = found_again
    assert tries(folder) == 1
    assert_one_whole_candidate(folder, record, record.outputs["digest"])


def test_killed_at_every_other_point_in_turn_it_ends_as_if_nothing_had_happened(
    make_project: Callable[[str], Path], found_again: tuple[Path, StageRecord], root: Path
) -> None:
    undisturbed = found_again[1].outputs["digest"]  # the job itself, nobody disturbed
    folder = make_project("in-turn")
    for point in ("train.mid-epoch", "train.before-manifest", "train.after-artifact"):
        # These are in the job's process: the stage lives on, and says that a retry makes sense.
        assert train_until(point, folder, root) == 75, point
        assert stored_names(open_project(folder).lake.files, "candidates") == []
    assert train_until("train.before-ledger", folder, root) == -signal.SIGKILL
    assert open_project(folder).lake.ledger.entries("train-finetune") == []
    assert tries(folder) == 4

    record = train(open_project(folder), DAY, "finetune")

    assert tries(folder) == 4  # the job had succeeded; only the record was missing
    assert_one_whole_candidate(folder, record, undisturbed)
    assert record.metrics["tries"] == 4
