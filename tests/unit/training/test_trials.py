"""Many trials in one process: each is scored as a training of its own would be, and none twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lakeloop.measures.registry import metric_of
from lakeloop.search.found import Cost
from lakeloop.search.study import Study
from lakeloop.settings import Settings
from lakeloop.spec.train import Train
from tests.support.training_jobs import CLASSES, NUMBERS
from training.ending import Ending
from training.job import Job
from training.job_config import JobConfig
from training.methods.head import embeddings_of
from training.network import Network
from training.ranks import ALONE
from training.tasks.base import Linear
from training.tasks.registry import training_task
from training.train import train
from training.trials import TrialsConfig, run

SPACE = {
    "method.regularisation": {"low": 0.01, "high": 10.0, "log": True},
    "method.standardise": [False, True],
}


@pytest.fixture
def config(make_config: Callable[..., JobConfig], tmp_path: Path) -> TrialsConfig:
    made = make_config("head")
    train = made.train.model_dump(mode="json", exclude_unset=True)
    section = Train.model_validate({**train, "search": {"space": SPACE, "trials": 6}})
    return TrialsConfig(
        **{**dict(made), "train": section}, home=tmp_path, study="many", slots=tuple(range(6))
    )


def study_of(config: TrialsConfig) -> Study:
    metric = metric_of(config.task.kind, config.metric)
    return Study(
        Settings(root=config.home, home=config.home), config.loop, config.study, config.train, metric
    )


def work(config: TrialsConfig, folder: Path) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(config.model_dump_json())
    run(folder / "config.json", Ending(), ALONE)
    found: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return found


def test_all_slots_are_carried_out_and_scored(config: TrialsConfig, tmp_path: Path) -> None:
    result = work(config, tmp_path / "job")
    trials = study_of(config).trials()
    assert result["trials"] == len(trials) == 6
    assert {trial.state for trial in trials} == {"complete"}
    assert result["cpu_seconds"] > sum(trial.cost.cpu_seconds for trial in trials) > 0


def test_a_trial_that_a_killed_process_left_is_gone_on_with(config: TrialsConfig, tmp_path: Path) -> None:
    study = study_of(config)
    first, left = study.begin(0), study.begin(1)
    assert first is not None
    assert left is not None
    study.complete(first, 0.5, Cost())
    assert work(config, tmp_path / "job")["trials"] == 5
    trials = study_of(config).trials()
    assert (trials[0].score, len(trials)) == (0.5, 6)
    assert (trials[1].state, trials[1].values) == ("complete", left.values)


def test_a_score_is_that_of_a_training_with_these_values(
    config: TrialsConfig, tmp_path: Path, make_job: Callable[..., Job]
) -> None:
    work(config, tmp_path / "job")
    for trial in study_of(config).trials()[:2]:
        keys = {key.removeprefix("method."): value for key, value in trial.values.items()}
        trained = train(make_job({"kind": "head", **keys}))
        assert trained.validation.named[config.metric] == trial.score


@pytest.mark.parametrize("task", [CLASSES, NUMBERS], ids=["classes", "numbers"])
def test_the_scale_of_embeddings_ends_up_in_the_weights(make_job: Callable[..., Job], task: Any) -> None:
    job = make_job({"kind": "head", "standardise": True}, task=task)
    trained = train(job)
    network = trained.network
    assert isinstance(network, Network)
    rows = embeddings_of(job, network)[len(job.dataset.train) :]
    linear = Linear(network.head.weight.detach().numpy(), network.head.bias.detach().numpy())
    answered = job.judge.score(training_task(job.dataset.contract), linear.of(rows))
    assert answered.named["loss"] == pytest.approx(trained.validation.named["loss"], abs=1e-4)
    plain = train(make_job("head", task=task))
    assert plain.validation.named != trained.validation.named


def test_a_stronger_regularisation_makes_smaller_weights(make_job: Callable[..., Job]) -> None:
    weak, strong = (
        train(make_job({"kind": "head", "regularisation": strength})) for strength in (0.01, 100.0)
    )
    assert strong.network.head.weight.norm() < weak.network.head.weight.norm()  # type: ignore[union-attr,operator]
