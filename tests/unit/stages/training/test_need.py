"""What a training asks of the devices of its machine, and what it tells those who wait behind it."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from lakeloop.jobs.admission import Need
from lakeloop.jobs.state import JobRecord, ProcessIdentity, Workdir
from lakeloop.records import now
from lakeloop.stages.frame.queue import queue_of
from lakeloop.stages.training import need
from lakeloop.stages.training.train import prepare, train
from tests.support.keyword_job import DAY, open_with
from tests.support.small_loop import small_context


@pytest.fixture
def torch_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The installed torch is one whose version.py a test writes."""
    folder = tmp_path / "installed"
    folder.mkdir()
    found = need.importlib.util.find_spec

    def find(name: str) -> object:
        return SimpleNamespace(origin=str(folder / "x")) if name == "torch" else found(name)

    monkeypatch.setattr(need.importlib.util, "find_spec", find)
    return SimpleNamespace(version=folder / "version.py")


def test_a_torch_that_can_use_no_device_waits_for_none(project: Path, torch_of: SimpleNamespace) -> None:
    torch_of.version.write_text("__version__ = '2.13.0+cpu'\ncuda: Optional[str] = None\n")
    assert prepare(open_with(project, devices=2), DAY, "finetune").need is None


def test_a_training_says_what_it_needs_and_how_long_the_last_ones_took(
    project: Path, torch_of: SimpleNamespace
) -> None:
    torch_of.version.write_text("__version__ = '2.13.0'\ncuda: Optional[str] = '12.8'\n")
    asked = {"devices": 2, "memory": "1.5 GB"}
    title = f"small train-finetune {DAY}"
    first = prepare(open_with(project, **asked), DAY, "finetune")
    assert first.need == Need(devices=2, memory_bytes=1_500_000_000, title=title)

    train(small_context(project), DAY, "finetune")
    again = prepare(open_with(project, **asked), DAY, "finetune")
    assert again.need == Need(devices=2, memory_bytes=1_500_000_000, title=title, seconds=1.5)
    # What is asked of the machine decides nothing of what is made.
    assert again.workdir == first.workdir == prepare(open_with(project), DAY, "finetune").workdir


def test_what_waits_is_told_with_its_reason_and_who_died_waits_no_more(project: Path) -> None:
    context = small_context(project)
    assert queue_of(context) == ()
    record = JobRecord(
        state="waiting",
        fingerprint="f",
        runner=ProcessIdentity.of(os.getpid()),
        reason="device 0 is at work",
        begins_at=now(),
    )
    for day, runner in ((DAY, record.runner), ("2026-11-30", ProcessIdentity(pid=os.getpid(), started=1.0))):
        workdir = Workdir(context.work("train-finetune", day) / "job-1")
        workdir.path.mkdir()
        workdir.write_record(record.model_copy(update={"runner": runner}))
    (waits,) = queue_of(context)
    assert (waits.stage, waits.partition) == ("train-finetune", DAY)
    assert waits.sentence == "device 0 is at work; about 0 min more, by what earlier trainings took"
