"""Files of TensorBoard, made of journals and read back by TensorBoard itself."""

from __future__ import annotations

import importlib.util
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lakeloop.settings import Settings
from lakeloop.tracking import mirror, wake
from lakeloop.tracking.journal import JournalIdentity, JournalTracker
from lakeloop.tracking.tensorboard import Boards

needs_tensorboard = pytest.mark.skipif(
    importlib.util.find_spec("tensorboard") is None, reason="tensorboard is not installed"
)


@pytest.fixture
def journal(tmp_path: Path) -> Callable[..., JournalTracker]:
    def open_journal(run: str = "run-1", stage: str = "train-a-job") -> JournalTracker:
        identity = JournalIdentity("news", stage, "2026-11-20", run)
        return JournalTracker(identity.path(tmp_path / "journals"), identity)

    return open_journal


@pytest.fixture
def boards(tmp_path: Path) -> Boards:
    return Boards(tmp_path / "journals", tmp_path / "boards")


def read(tmp_path: Path, run: str = "run-1") -> dict[str, list[tuple[int, float]]]:
    """Tag -> its steps and values, in the order in which they are."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    found: dict[str, list[tuple[int, float]]] = {}
    files = sorted((tmp_path / "boards/news/train-a-job/2026-11-20" / run).iterdir())
    for event in (event for file in files for event in EventFileLoader(str(file)).Load()):
        for value in event.summary.value:
            number: Any = value.simple_value or value.tensor.float_val[0]
            found.setdefault(value.tag, []).append((event.step, number))
    return found


@needs_tensorboard
def test_a_run_at_work_is_followed_and_ends_whole(
    journal: Callable[..., JournalTracker], boards: Boards, tmp_path: Path
) -> None:
    with journal() as tracker:
        tracker.config({"epochs": 2})
        tracker.log({"train/loss": 0.5, "train/learning_rate": 0.25}, 10)
        assert boards.copy(look=True) == 0
        assert boards.follows
        assert read(tmp_path) == {"train/loss": [(10, 0.5)], "train/learning_rate": [(10, 0.25)]}
        tracker.log({"train/loss": 0.125}, 20)
        boards.copy(look=False)
        assert read(tmp_path)["train/loss"] == [(10, 0.5), (20, 0.125)]
    assert (boards.copy(look=False), boards.follows) == (1, False)
    assert boards.copy(look=True) == 0, "it is whole"


@needs_tensorboard
def test_a_training_that_goes_on_has_each_point_once(
    journal: Callable[..., JournalTracker], boards: Boards, tmp_path: Path
) -> None:
    with journal() as tracker:
        tracker.log({"train/loss": 0.5}, 10)
    assert boards.copy(look=True) == 1
    with journal() as tracker:
        tracker.log({"train/loss": 0.25}, 20)
    assert Boards(tmp_path / "journals", tmp_path / "boards").copy(look=True) == 1
    assert read(tmp_path) == {"train/loss": [(10, 0.5), (20, 0.25)]}


@needs_tensorboard
def test_numbers_without_steps_are_counted_and_no_number_is_none(
    journal: Callable[..., JournalTracker], boards: Boards, tmp_path: Path
) -> None:
    with journal() as tracker:
        tracker.log({"rows": 3.0})
        tracker.log({"rows": math.nan})
    boards.copy(look=True)
    (first, second) = read(tmp_path)["rows"]
    assert first == (0, 3.0)
    assert (second[0], math.isnan(second[1])) == (1, True)


@needs_tensorboard
def test_a_journal_without_numbers_has_no_files_and_a_spoilt_one_keeps_no_other_from_them(
    journal: Callable[..., JournalTracker], boards: Boards, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal("run-2", "ingest").close()
    spoilt = journal("run-0")
    spoilt.log({"train/loss": 1.0}, 1)
    spoilt.close()
    spoilt.path.write_text("{}\n")
    with journal() as tracker:
        tracker.log({"train/loss": 0.5}, 10)
    assert boards.copy(look=True) == 2
    assert [path.name for path in (tmp_path / "boards/news").iterdir()] == ["train-a-job"]
    assert "run-0" in caplog.text
    assert read(tmp_path) == {"train/loss": [(10, 0.5)]}


@needs_tensorboard
def test_the_mirror_writes_them_also_when_wandb_is_switched_off(
    journal: Callable[..., JournalTracker], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "waiting", lambda _: pytest.fail("W&B was to be told"))
    with journal() as tracker:
        tracker.log({"train/loss": 0.5}, 10)
    journals, into = tmp_path / "journals", tmp_path / "boards"
    assert mirror.run(journals, tmp_path / "wandb", online=False, linger=0, wandb=False, boards=into)
    assert read(tmp_path) == {"train/loss": [(10, 0.5)]}
    assert not (tmp_path / "wandb").exists()


def test_what_is_not_installed_is_said_once_and_keeps_nothing_else(
    journal: Callable[..., JournalTracker],
    boards: Boards,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard.summary.writer.event_file_writer", None)
    for run in ("run-1", "run-2"):
        with journal(run) as tracker:
            tracker.log({"train/loss": 0.5}, 10)
    assert (boards.copy(look=True), boards.copy(look=True)) == (0, 0)
    assert caplog.text.count('pip install "lakeloop[tensorboard]"') == 1


@pytest.mark.parametrize(("asked", "started"), [("1", True), ("0", False)])
def test_without_wandb_a_mirror_is_started_only_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str, started: bool
) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.setenv("LAKELOOP_TENSORBOARD", asked)
    calls: list[list[str]] = []
    monkeypatch.setattr(subprocess, "run", lambda argv, **_: calls.append(argv))
    settings = Settings(root=tmp_path, home=tmp_path)
    wake.wake_mirror(settings)
    asked_for = ["--no-wandb", "--tensorboard", str(settings.boards)]
    assert [call[-3:] for call in calls] == ([asked_for] if started else [])
