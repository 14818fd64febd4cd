"""The one list of stages: every row leads to a function, and names of records lead back to their row."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from lakeloop.records import experiment_of
from lakeloop.spec.train import CHAMPION, TAKEN
from lakeloop.stages.catalogue import (
    DAGS,
    POOLS,
    STAGES,
    Stage,
    candidate_of,
    in_order,
    stage_named,
    stages_of,
)


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_every_stage_has_a_function_that_takes_what_its_row_says(stage: Stage) -> None:
    taken = set(inspect.signature(stage.function).parameters)
    wanted = {"context", "partition", *(option.keyword for option in stage.options)}
    assert wanted | ({"candidate"} if stage.per == "candidate" else set()) <= taken
    assert stage.function.__name__ == stage.name, "errors and progress call the work so"
    assert stage.pool in {"default_pool", *POOLS}


def test_every_dag_of_a_stage_has_its_file(root: Path) -> None:
    assert {file.stem for file in (root / "dags").glob("*.py")} >= set(DAGS)


def test_no_candidate_may_have_the_name_of_a_task_beside_its_own() -> None:
    beside = {stage.name for stage in stages_of("train") if stage.per != "candidate"}
    assert set(TAKEN) == {CHAMPION, "plan", *beside}


def test_the_name_of_a_record_leads_to_its_stage() -> None:
    train = stage_named("train")
    assert train.record_name("finetune") == "train-finetune"
    assert train.record_name("finetune", "fast") == "train-finetune@fast"
    assert stage_named("train-finetune@fast-job") is train
    assert candidate_of("train-finetune@fast") == candidate_of("train-finetune") == "finetune"
    assert experiment_of("train-finetune@fast-job") == experiment_of("evaluate@fast") == "fast"
    assert experiment_of("train-finetune-job") == ""
    assert stage_named("train-finetune") is train
    assert stage_named("ingest").record_name() == "ingest"


@pytest.mark.parametrize("name", ["nothing", "ingest-more"])
def test_a_name_that_is_none_is_refused_and_sorts_last(name: str) -> None:
    with pytest.raises(KeyError):
        stage_named(name)
    assert sorted(["monitor", name, "train-a", "ingest"], key=in_order) == [
        "ingest",
        "train-a",
        "monitor",
        name,
    ]
