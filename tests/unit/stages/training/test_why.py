"""The comparison of a training with the one before: what is equal, what is not, and what follows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lakeloop.errors import ConfigurationError
from lakeloop.jobs import submit, wait
from lakeloop.records import StageRecord
from lakeloop.stages.frame.session import StageContext
from lakeloop.stages.frame.why import Why
from lakeloop.stages.training.dataset import dataset
from lakeloop.stages.training.train import finish, prepare, stored, train
from lakeloop.stages.training.why import why_training
from tests.support.keyword_job import DAY, open_with, trainings
from tests.support.small_loop import DAYS, mart_rows, publish, small_context, small_loop


def _only(context: StageContext, partition: str | None = None) -> Why:
    (found,) = why_training(context, partition, "finetune").candidates
    return found


def _different(found: Why) -> dict[str, tuple[str | None, str | None]]:
    return {each.name: (each.then, each.now) for each in found.fields if not each.equal}


def test_a_training_that_was_done_is_skipped_naming_it_and_what_would_change_it(project: Path) -> None:
    done = train(small_context(project), DAY, "finetune")
    found = _only(small_context(project))
    assert (found.verdict, found.fingerprint) == ("skip", done.fingerprint)
    assert all(each.equal for each in found.fields)
    for said in ("train-finetune", DAY, done.outputs["digest"][:12], "run test-run, try 1"):
        assert said in found.reason
    assert {"train.epochs", "train.method.layers", "dataset", "base", "code"} <= set(found.changed_by)

    again = train(small_context(project), DAY, "finetune")
    assert again.status == "unchanged"
    assert done.title in again.reason
    assert f"lakeloop why small --candidate finetune --partition {DAY}" in again.reason
    assert trainings(project) == ["finetune"], "to ask runs nothing"


def test_an_experiment_is_laid_beside_its_own_last_training(project: Path) -> None:
    fast = replace(small_context(project), experiment="fast")
    assert (_only(fast).verdict, _only(fast).earlier) == ("run", "")
    train(fast, DAY, "finetune")
    assert _only(fast).verdict == "skip"
    again = train(fast, DAY, "finetune")
    assert f"lakeloop why small --candidate finetune --experiment fast --partition {DAY}" in again.reason
    assert (_only(small_context(project)).verdict, _only(small_context(project)).earlier) == ("run", "")
    other = replace(open_with(project, epochs=7), experiment="fast")
    assert "train.epochs" in _different(_only(other))


def test_a_training_that_would_run_names_the_fields_that_differ_old_and_new(project: Path) -> None:
    train(small_context(project), DAY, "finetune")
    (project / "training" / "train.py").write_text("other = 1")
    context = open_with(project, epochs=7, method="lora")
    found = _only(context)
    assert found.verdict == "run"
    different = _different(found)
    assert different["train.epochs"] == ("1 (default)", "7"), "what the job resolved then, and is told now"
    assert different["train.method"] == ("top_layers", "lora")
    assert set(different) == {"train.epochs", "train.method", "code", "code: training/train.py"}
    assert "train.epochs, train.method, code" in found.reason


def test_other_rows_are_named_by_their_days_and_a_data_set_that_is_not_frozen_is_said(project: Path) -> None:
    train(small_context(project), DAY, "finetune")
    context = small_context(project)
    publish(context, DAYS[1], mart_rows(DAYS[1], 60))
    asked = why_training(context)
    assert (asked.due, asked.partition) == (True, DAYS[1])
    found = asked.candidates[1]
    assert (found.verdict, found.fingerprint) == ("run", "")
    assert f"the data set of {DAYS[1]} is not frozen yet" in found.reason
    assert _different(found).keys() == {"day", f"rows of {DAYS[1]}", "dataset"}

    dataset(context, DAYS[1])
    assert _different(_only(context)).keys() == {"day", f"rows of {DAYS[1]}", "dataset"}
    assert _only(context, DAY).verdict == "skip"


def test_what_a_record_of_before_does_not_say_is_not_recorded(project: Path) -> None:
    context = small_context(project)
    done = train(context, DAY, "finetune")
    _record_as_before(context, done)
    assert _only(small_context(project)).verdict == "skip", "an equal fingerprint says enough"
    found = _only(open_with(project, epochs=7))
    unknown = {each.name for each in found.fields if each.equal is None}
    assert unknown == {"version of the stage"}
    assert found.verdict == "run"

    _record_as_before(context, done, format=1, config={"train": {"epochs": 4}}, fingerprint="0" * 64)
    found = _only(open_with(project, epochs=9))
    unknown = {each.name for each in found.fields if each.equal is None}
    assert unknown == {"task.kind", "task.labels", "train.method", "train.epochs"}
    assert "does not record" in found.reason


def _record_as_before(context: StageContext, record: StageRecord, **changed: object) -> None:
    """The record as an earlier version would have left it, as the newest."""
    old = record.model_copy(update={"version": None, "parts": {}, **changed})
    context.lake.ledger.record(old)


def test_a_training_that_was_done_before_another_is_taken_and_not_done_again(project: Path) -> None:
    first = train(open_with(project, seed=1), DAY, "finetune")
    second = train(open_with(project, seed=2), DAY, "finetune")
    assert _only(open_with(project, seed=1)).verdict == "skip"
    assert stored(open_with(project, seed=1), DAY, "finetune")

    again = train(open_with(project, seed=1), DAY, "finetune")
    assert (again.status, again.outputs) == ("done", first.outputs)
    assert first.title in again.reason
    assert trainings(project) == ["finetune"] * 2
    newest = small_context(project).lake.ledger.latest("train-finetune", DAY, "done")
    assert newest == again != second, "what comes after takes this one"
    assert "cpu_seconds" not in again.metrics, "nothing was spent"


def test_without_a_published_day_there_is_only_what_the_plan_says(tmp_path: Path) -> None:
    found = why_training(small_context(tmp_path))
    assert (found.due, found.partition, found.candidates) == (False, "", ())
    assert "training needs 30 rows" in found.decision


def test_a_candidate_that_is_not_there_is_refused(project: Path) -> None:
    with pytest.raises(ConfigurationError, match="no such candidate"):
        why_training(small_context(project, small_loop()), candidate="nobody")


def test_a_loop_over_its_budget_begins_no_training_and_says_so(project: Path) -> None:
    (project / "energy").touch()
    record = train(small_context(project), DAY, "baseline")
    told = {key: record.metrics[key] for key in ("cpu_seconds", "gpu_seconds", "peak_memory_mb")}
    assert told == {"cpu_seconds": 2.5, "gpu_seconds": 0.0, "peak_memory_mb": 512.0}
    assert record.metrics["energy_joules"] == 36

    rules = {"min_rows": 30, "min_new_rows": 20}
    poor = small_loop(train={**rules, "budget": {"cpu_hours": 0.0001, "per": "week"}})
    context = small_context(project, poor)
    asked = why_training(context)
    assert not asked.due
    assert asked.decision.startswith("over its budget: 0.00 of 0.0001 CPU h of this week are spent")
    assert "also not by hand" in asked.budget
    for begin in (train, prepare):
        with pytest.raises(ConfigurationError, match="over its budget") as raised:
            begin(context, DAY, "finetune")
        assert raised.value.where == "small train.budget"
        assert "0.0001 CPU h" in raised.value.found
        assert "raise it in the loop file, or wait" in raised.value.remedy
    assert train(context, DAY, "baseline").status == "unchanged", "what is there may be asked for"
    assert trainings(project) == ["baseline"]

    rich = small_loop(train={**rules, "budget": {"cpu_hours": 1}})
    assert "0.00 of 1 CPU h of this month" in why_training(small_context(project, rich)).budget
    assert train(small_context(project, rich), DAY, "finetune").status == "done"


def test_a_training_at_work_is_finished_also_over_the_budget(project: Path) -> None:
    rules = {"min_rows": 30, "min_new_rows": 20}
    context = small_context(project, small_loop(train={**rules, "budget": {"cpu_hours": 0.0001}}))
    job_id = submit(prepare(context, DAY, "finetune"))
    train(context, DAY, "baseline")
    assert submit(prepare(context, DAY, "finetune")) == job_id, "another try of its task comes back to it"
    wait(job_id)
    assert finish(context, DAY, "finetune", job_id).status == "done"
