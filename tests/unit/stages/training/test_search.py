"""A candidate that is searched for: its trials, the best of them kept, and what is not done twice."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from lakeloop.errors import ConfigurationError
from lakeloop.jobs import status
from lakeloop.records import StageRecord
from lakeloop.search.found import SEARCH, SearchFound
from lakeloop.stages.frame.cost import spent, unfinished
from lakeloop.stages.frame.session import StageContext
from lakeloop.stages.training.evaluate import evaluate
from lakeloop.stages.training.train import train
from lakeloop.stages.training.trials import Searching, carry_out
from tests.support.search_job import DAY, begin_search, open_with, trainings
from tests.support.small_loop import trained

RATES = {"learning_rate": {"low": 1e-5, "high": 1e-1, "log": True}}


@pytest.fixture
def project(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTHONPATH", str(root))
    return begin_search(tmp_path)


def searching(project: Path, **keys: Any) -> StageContext:
    section = {"sampler": "random", "pruner": "none", "space": RATES, "trials": 4, "keep": 2, **keys}
    return open_with(project, search=section, epochs=1)


def found_in(context: StageContext, record: StageRecord) -> SearchFound:
    return SearchFound.model_validate_json(context.lake.files.read(record.outputs["search"], SEARCH))


def test_a_search_leaves_its_best_models_and_tells_all_of_its_trials(project: Path) -> None:
    context = searching(project)
    record = train(context, DAY, "finetune")

    assert record.status == "done"
    found = found_in(context, record)
    assert [trial.state for trial in found.trials] == ["complete"] * 4
    scores = sorted((trial.score or 0.0 for trial in found.trials), reverse=True)
    assert [model.name for model in found.kept] == ["finetune", "finetune_2"]
    assert [model.metrics["macro_f1"] for model in found.kept] == scores[:2]
    assert record.outputs["digest"] == found.kept[0].digest
    assert all(context.lake.files.exists(model.artifact) for model in found.kept)
    assert "4 whole" in record.reason
    assert record.settings["learning_rate"]["origin"] == "search"


def test_all_trials_are_in_the_cost_and_no_folder_of_a_job_is_left(project: Path) -> None:
    context = searching(project)
    record = train(context, DAY, "finetune")
    assert (record.metrics["seconds"], record.metrics["cpu_seconds"]) == (6.0, 10.0)
    assert spent([record], unfinished=unfinished(context.settings, "small")).wall_hours == 6.0 / 3600
    assert list(context.work("train-finetune", DAY).glob("job-*")) == []


@pytest.mark.slow
def test_the_same_search_on_the_same_rows_is_not_done_again(project: Path) -> None:
    first = train(searching(project), DAY, "finetune")
    again = train(searching(project, parallel=2), DAY, "finetune")
    assert again.status == "unchanged"
    assert again.outputs == first.outputs
    assert first.title in again.reason
    assert len(trainings(project)) == 4
    assert train(searching(project, trials=5), DAY, "finetune").status == "done"


def test_the_best_few_are_judged_beside_the_other_candidates(project: Path) -> None:
    context = searching(project)
    trained(context, "baseline", DAY)
    train(context, DAY, "finetune")
    record = evaluate(context, DAY)
    judged = {name.partition("/")[0] for name in record.metrics}
    assert judged == {"baseline", "finetune", "finetune_2"}


def test_trials_at_once_share_the_study(project: Path) -> None:
    context = searching(project, trials=6, parallel=3)
    found = found_in(context, train(context, DAY, "finetune"))
    assert sorted(trial.slot or 0 for trial in found.trials) == list(range(6))
    rates = {trial.values["learning_rate"] for trial in found.trials}
    assert len(rates) == 6, "each trial draws from a seed of its own"


def test_a_grid_is_every_combination_once(project: Path) -> None:
    space = {"learning_rate": [0.01, 0.001], "epochs": [1, 2]}
    context = searching(project, sampler="grid", space=space, trials=10)
    found = found_in(context, train(context, DAY, "finetune"))
    assert len(found.trials) == 4
    assert {(t.values["learning_rate"], t.values["epochs"]) for t in found.trials} == {
        (0.01, 1), (0.01, 2), (0.001, 1), (0.001, 2),
    }  # fmt: skip
    assert found.best is not None
    assert found.best.values["learning_rate"] == 0.001


def test_values_that_were_tried_are_not_trained_again(project: Path) -> None:
    context = searching(project, space={"learning_rate": [0.01, 0.001]}, trials=8)
    found = found_in(context, train(context, DAY, "finetune"))
    assert len(found.trials) == 8
    assert len(trainings(project)) == 2
    assert len(found.kept) == 2, "of equal values one model"


def test_a_trial_whose_process_is_killed_is_gone_on_with(project: Path) -> None:
    (project / "killed").touch()
    context = searching(project, trials=2)
    found = found_in(context, train(context, DAY, "finetune"))
    assert [trial.state for trial in found.trials] == ["complete", "complete"]
    assert len(trainings(project)) == 3


@pytest.mark.slow
def test_values_that_cannot_be_trained_are_a_failed_trial_and_another_is_asked_for(project: Path) -> None:
    (project / "diverges").write_text("1e-3")
    context = searching(project, trials=6)
    found = found_in(context, train(context, DAY, "finetune"))
    states = [trial.state for trial in found.trials]
    assert {"complete", "failed"} <= set(states)
    (reason,) = {trial.reason for trial in found.trials if trial.state == "failed"}
    assert reason == "training diverged"


@pytest.mark.slow
def test_a_search_without_a_score_says_why(project: Path) -> None:
    (project / "diverges").write_text("1e-9")
    with pytest.raises(ConfigurationError, match="no trial of the search has a score") as error:
        train(searching(project), DAY, "finetune")
    assert "diverged" in error.value.found
    (project / "diverges").unlink()
    assert train(searching(project), DAY, "finetune").status == "done", "it is begun anew"


def with_budget(project: Path, seconds: float, **search: Any) -> StageContext:
    section = {"sampler": "random", "pruner": "none", "space": RATES, "trials": 4, "keep": 1, **search}
    return open_with(project, search=section, epochs=1, budget={"cpu_hours": seconds / 3600})


def test_a_search_over_its_budget_ends_with_what_it_has(project: Path) -> None:
    context = with_budget(project, 4.0)
    record = train(context, DAY, "finetune")
    found = found_in(context, record)
    assert [trial.state for trial in found.trials] == ["complete"] * 2, "2.5 CPU s each"
    assert "over its budget" in found.ended
    with pytest.raises(ConfigurationError, match="over its budget"):
        train(with_budget(project, 4.0, trials=9), DAY, "finetune")


@pytest.mark.slow
def test_trials_that_are_behind_are_ended_early_and_leave_no_model(project: Path) -> None:
    (project / "slow").write_text("0.3")
    space = {"learning_rate": {"low": 1e-3, "high": 1e-1, "step": 1e-2}}
    search = {"sampler": "grid", "space": space, "trials": 5, "keep": 2}
    context = open_with(project, epochs=4, search=search)
    found = found_in(context, train(context, DAY, "finetune"))
    assert [trial.state for trial in found.trials[:2]] == ["complete"] * 2, "so many are kept"
    pruned = next(trial for trial in found.trials if trial.state == "pruned")
    assert 0 < len(pruned.epochs) < 4
    assert pruned.number not in {model.trial for model in found.kept}


@pytest.mark.slow
def test_a_search_that_cannot_reach_the_baseline_ends_and_says_so(project: Path) -> None:
    space = {"learning_rate": {"low": 1e-6, "high": 1.2e-6}}
    context = searching(project, space=space, trials=30)
    trained(context, "baseline", DAY)
    record = train(context, DAY, "finetune")
    found = found_in(context, record)
    assert len(found.trials) == 5
    assert "the baseline's macro F1 0.9000 is out of reach" in found.ended
    assert found.ended in record.reason


def test_a_worker_that_does_not_come_back_is_noticed_at_the_end(project: Path) -> None:
    from lakeloop.stages.training.search import finish_search, slots_left

    context = searching(project, trials=3)
    assert slots_left(context, DAY, "finetune") == [[0], [1], [2]]
    search = Searching.of(context, DAY, "finetune")
    carry_out(search, [0], print)
    left = search.study().begin(1)  # by a worker that is killed now
    assert left is not None
    record = finish_search(context, DAY, "finetune")
    found = found_in(context, record)
    assert [trial.state for trial in found.trials] == ["complete", "failed"]
    assert found.trials[1].reason == "its worker did not come back"
    assert slots_left(context, DAY, "finetune") == []


def test_a_worker_that_comes_back_goes_on_with_its_trial(project: Path) -> None:
    context = searching(project, trials=3)
    search = Searching.of(context, DAY, "finetune")
    left = search.study().begin(1)
    assert left is not None
    (trial,) = carry_out(search, [1], print)
    assert (trial.number, trial.values) == (left.number, left.values)
    assert json.loads(json.dumps(trial.values)) == trial.values


@pytest.mark.slow
@pytest.mark.parametrize("parallel", [1, 2])
def test_ctrl_c_ends_the_jobs_and_the_search_is_gone_on_with(project: Path, parallel: int) -> None:
    (project / "slow").write_text("30")
    context = searching(project, parallel=parallel, trials=3)

    def interrupt() -> None:
        deadline = time.monotonic() + 30
        while not trainings(project) and time.monotonic() < deadline:
            time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)

    Thread(target=interrupt, daemon=True).start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        train(context, DAY, "finetune")
    assert time.monotonic() - began < 25
    jobs = list(context.work("train-finetune", DAY).glob("job-trial-*"))
    assert jobs
    assert not [job for job in jobs if status(str(job)).state == "running"]
    (project / "slow").unlink()
    found = found_in(context, train(context, DAY, "finetune"))
    assert [trial.state for trial in found.trials] == ["complete"] * 3
