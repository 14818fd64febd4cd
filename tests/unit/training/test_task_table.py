"""Every kind of task is learnt by every method that is not refused for it: the table in docs/tasks.md."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lakeloop.artifact import open_artifact
from lakeloop.base_model import find_base_model
from lakeloop.inference.predictor import Predictor
from lakeloop.measures.registry import metric_of
from lakeloop.spec.methods import METHODS, kind_of
from lakeloop.spec.shape import kinds_of
from lakeloop.spec.tasks import Task
from tests.support.task_jobs import TASKS, TaskCase
from training.job import run
from training.job_config import JobConfig
from training.train import train

PAIRS = [
    (name, kind_of(method))
    for name, case in TASKS.items()
    for method in METHODS
    if not method.model_validate({"kind": kind_of(method)}).unfit_for(case.section.kind, case.keys)
]
WEAK = {"prompt", "p_tuning", "prefix", "vera", "ia3", "bitfit", "oft", "zero_shot", "adapter"}
"""Methods that move too little of a random network in some seconds: it is enough that their loss falls."""
STEPS = {"learning_rate": 1e-2, "epochs": 6, "patience": 6}
SMALL = {"frozen": {"lowest": 1}, **{key: {"tokens": 4} for key in ("prompt", "p_tuning", "prefix")}}
"""What suits a base model of two layers and few positions."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    home = tmp_path_factory.mktemp("tasks")
    return {name: case.make(home / str(number)) for number, (name, case) in enumerate(TASKS.items())}


def test_the_table_has_every_kind_of_task() -> None:
    assert {case.section.kind for case in TASKS.values()} == set(kinds_of(Task))
    page = (Path(__file__).parents[3] / "docs/tasks.md").read_text()
    assert {line.split(" | ")[0].strip("| ") for line in page.splitlines() if " | yes |" in line} == set(
        TASKS
    )


@pytest.mark.slow
@pytest.mark.parametrize(("task", "method"), PAIRS, ids=[f"{task}-{method}" for task, method in PAIRS])
def test_a_task_is_learnt_by_a_method_and_answered_from_the_artifact(
    make_config: Callable[..., JobConfig], folders: dict[str, Path], tmp_path: Path, task: str, method: str
) -> None:
    case: TaskCase = TASKS[task]
    section: dict[str, Any] = {"kind": method, **SMALL.get(method, {})}
    options = STEPS if method not in ("head", "zero_shot", "classical") else {}
    base = case.base and find_base_model("models/own", case.base(tmp_path / "base"))
    config = make_config(section, task=case.section, dataset=folders[task], on=base, **options)
    (tmp_path / "config.json").write_text(config.model_dump_json())
    run(tmp_path / "config.json", train)
    result = json.loads((tmp_path / "result.json").read_text())
    if losses := [epoch["loss"] for epoch in result["details"].get("epochs", ())]:
        assert min(losses[1:]) < losses[0]
    predictor = Predictor(open_artifact(tmp_path / "artifact").folder)
    answers = predictor.predict(case.asked)
    alone = [predictor.predict([row])[0] for row in case.asked]
    for together, one in zip(answers, alone, strict=True):
        assert _numbers(together) == pytest.approx(_numbers(one), abs=1e-4)
    metric = metric_of(case.section.kind)
    score = result["metrics"]["r2" if metric.better == "lower" else metric.name]
    assert method in WEAK or score > case.bar, result["metrics"]


def _numbers(answer: Any) -> list[float]:
    said = answer.model_dump()
    if "finished" in said:
        return [said["tokens"], said["finished"]]
    if "entities" in said:
        return [number for each in said["entities"] for number in (each["start"], each["end"], each["score"])]
    return [said["value"]] if "value" in said else list(said["scores"].values())
