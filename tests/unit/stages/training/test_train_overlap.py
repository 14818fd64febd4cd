"""Attempts at one training that overlap: whoever came last is recorded, once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lakeloop.attempt import Attempt
from lakeloop.errors import FenceError
from lakeloop.jobs import submit, wait
from lakeloop.lake.store import Lake
from lakeloop.records import StageRecord
from lakeloop.stages.frame.session import StageContext
from lakeloop.stages.training import train as train_stage
from lakeloop.stages.training.train import finish, prepare, train
from tests.support.keyword_job import DAY, open_with, trainings
from tests.support.small_loop import small_context, small_loop


def meanwhile(
    monkeypatch: pytest.MonkeyPatch, place: object, name: str, other: Callable[[], StageRecord]
) -> list[StageRecord]:
    """Let `other` run, once, when the attempt under test calls `place.name`; its record comes in the list."""
    records: list[StageRecord] = []
    call = getattr(place, name)

    def late(*args: Any, **options: Any) -> Any:
        monkeypatch.setattr(place, name, call)
        records.append(other())
        return call(*args, **options)

    monkeypatch.setattr(place, name, late)
    return records


def overlapping(project: Path, *, seed: int = 17) -> StageContext:
    """The context of another attempt, with a configuration of its own."""
    return small_context(project, small_loop(train={"seed": seed}), Attempt("another-run"))


def done_runs(project: Path) -> list[str]:
    entries = small_context(project).lake.ledger.entries("train-finetune")
    return [entry.provenance.run_id for entry in entries if entry.status == "done"]


def test_two_attempts_that_wait_for_one_job_leave_one_record(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = meanwhile(monkeypatch, train_stage, "wait", lambda: train(overlapping(project), DAY, "finetune"))
    record = train(open_with(project, seed=17), DAY, "finetune")
    assert ([other.status for other in others], record.status) == (["done"], "unchanged")
    assert record.outputs == others[0].outputs
    assert done_runs(project) == ["another-run"]
    assert trainings(project) == ["finetune"]


def test_an_attempt_that_is_overtaken_while_it_stores_its_artifact_leaves_no_record(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meanwhile(monkeypatch, Lake, "record", lambda: train(overlapping(project), DAY, "finetune"))
    with pytest.raises(FenceError, match="took over"):
        train(open_with(project, seed=17), DAY, "finetune")
    assert done_runs(project) == ["another-run"]


def test_of_two_orders_at_once_the_later_one_stays_the_newest(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = meanwhile(
        monkeypatch, train_stage, "wait", lambda: train(overlapping(project, seed=2), DAY, "finetune")
    )
    with pytest.raises(FenceError, match="took over"):
        train(open_with(project, seed=1), DAY, "finetune")
    assert done_runs(project) == ["another-run"]
    assert small_context(project).lake.ledger.latest("train-finetune", DAY, "done") == others[0]


def test_a_retry_that_finishes_first_leaves_nothing_for_the_try_before_it(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = [small_context(project, attempt=Attempt("scheduled", number)) for number in (1, 2)]
    job_id = submit(prepare(tries[0], DAY, "finetune"))
    wait(job_id)
    meanwhile(monkeypatch, train_stage, "open_artifact", lambda: finish(tries[1], DAY, "finetune", job_id))
    assert finish(tries[0], DAY, "finetune", job_id).status == "unchanged"
    (entry,) = tries[0].lake.ledger.entries("train-finetune")
    assert entry.provenance.try_number == 2
