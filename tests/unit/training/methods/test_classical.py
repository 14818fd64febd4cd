"""Classical models on words and on embeddings: they learn, and are served as all others are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from lakeloop.artifact import open_artifact
from lakeloop.base_model import find_base_model
from lakeloop.errors import ConfigurationError
from lakeloop.inference.predictor import Predictor
from lakeloop.spec.methods import METHODS, Classical, kind_of
from lakeloop.spec.tasks import Task
from lakeloop.spec.train import CHAMPION
from tests.support.training_jobs import CLASSES, NUMBERS
from training.job import Job, run
from training.job_config import JobConfig
from training.train import train

MakeJob = Callable[..., Job]
MODELS = ("linear", "forest", "boosting")


@pytest.mark.parametrize("task", [CLASSES, NUMBERS], ids=["classes", "numbers"])
@pytest.mark.parametrize("features", ["words", "embeddings"])
@pytest.mark.parametrize("model", MODELS)
def test_it_learns(make_job: MakeJob, features: str, model: str, task: Task) -> None:
    method = {"kind": "classical", "features": features, "model": model, "trees": 20}
    scores = train(make_job(method, task=task)).validation.named
    assert scores.get("macro_f1", 1) > 0.75
    assert scores.get("spearman", 1) > 0.25


def test_the_same_rows_give_the_same_forest(make_job: MakeJob) -> None:
    one, other = (
        train(make_job({"kind": "classical", "model": "forest", "trees": 5})).network.state_dict()
        for _ in range(2)
    )
    assert all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.mark.parametrize(
    "method",
    [
        "head",
        *({"kind": "classical", "features": "embeddings", "model": model, "trees": 20} for model in MODELS),
    ],
    ids=["head", *MODELS],
)
def test_class_weights_move_its_answers_to_the_class_that_counts_more(
    make_job: MakeJob, method: str | dict[str, Any]
) -> None:
    def chance_of_tech(**options: Any) -> float:
        job = make_job(method, **options)
        network = train(job).network.eval()
        ids = torch.tensor([job.tokenizer.encode("the goal of a phone was said today").ids])
        with torch.inference_mode():
            chances = network(ids, torch.ones_like(ids)).softmax(1)
        return float(chances[0, job.dataset.contract.names.index("tech")])

    plain = chance_of_tech()
    assert chance_of_tech(class_weights={"tech": 50.0}) > plain
    assert chance_of_tech(class_weights="none") == plain


@pytest.mark.parametrize("model", MODELS)
def test_what_it_learnt_from_words_is_served(
    make_config: Callable[..., JobConfig], tmp_path: Path, model: str
) -> None:
    config = make_config({"kind": "classical", "model": model, "trees": 8})
    work = tmp_path / "work"
    work.mkdir()
    (work / "config.json").write_text(config.model_dump_json())
    run(work / "config.json", train)
    artifact = open_artifact(work / "artifact")
    answers = Predictor(artifact.folder).predict(["the goal of the team", "a phone with a new chip"])
    assert [answer.label for answer in answers] == ["sports", "tech"]
    with pytest.raises(ConfigurationError, match="no encoder to go on with"):
        find_base_model(CHAMPION, artifact.folder)


def test_every_kind_of_the_section_is_fitted() -> None:
    assert kind_of(Classical) in {kind_of(section) for section in METHODS}
    assert set(Classical.model_json_schema()["properties"]["model"]["enum"]) == set(MODELS)
