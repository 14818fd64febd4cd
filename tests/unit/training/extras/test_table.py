"""Every extra by three methods: it learns, says what it was told, and its artifact answers as it does.

And by two of them: killed in the middle, it ends with the bits of one that was not.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lakeloop.artifact import open_artifact
from lakeloop.inference.predictor import Predictor
from lakeloop.spec.train import Train
from tests.support.artifacts import make_artifact
from tests.support.augmenting import write_wordnet
from tests.support.tiny_bert import LABELS, make_dataset, make_rows
from tests.unit.training.test_resume import (
    MakeJob,
    assert_same,
    folder,
    own_signals,
    train_killed,
)
from training.job import Job, Trained, run
from training.job_config import JobConfig
from training.train import train

__all__ = ["folder", "own_signals"]

MakeConfig = Callable[..., JobConfig]
EXTRAS: dict[str, dict[str, Any]] = {
    "weight decay": {"weight_decay": 0.3},
    "gradient norm": {"max_grad_norm": 0.1},
    "warm-up": {"warmup": 0.5},
    **{schedule: {"schedule": schedule} for schedule in ("cosine", "polynomial", "inverse_sqrt", "constant")},
    "min delta": {"min_delta": 0.5, "patience": 2},
    "dropout": {"dropout": 0.3},
    "smoothing": {"label_smoothing": 0.1},
    "even weights": {"class_weights": "balanced"},
    "given weights": {"class_weights": {"sports": 3.0}},
    "even rows": {"sampling": "balanced"},
    "fgm": {"adversarial": "fgm"},
    "ema": {"average": {"kind": "ema", "decay": 0.8}},
    "epochs": {"average": {"kind": "epochs", "last": 2}},
    "distil": {"distil": "champion"},
    "augment": {"augment": {"kind": "synonyms", "folder": "wordnet"}},
    "vote": {"vote": 2},
    "many together": {
        "schedule": "cosine",
        "dropout": 0.05,
        "label_smoothing": 0.1,
        "class_weights": "balanced",
        "adversarial": {"kind": "fgm", "epsilon": 0.01},
        "average": {"kind": "ema", "decay": 0.8},
        "distil": "champion",
        "augment": {"kind": "synonyms", "folder": "wordnet"},
        "calibration": "temperature",
        "quantise": {"kind": "int8", "min_agreement": 0.5, "max_loss": 0.5},
    },
    "int8": {"quantise": {"kind": "int8", "min_agreement": 0.5, "max_loss": 0.5}},
    "temperature": {"calibration": "temperature"},
    "pgd": {"adversarial": {"kind": "pgd", "epsilon": 0.2, "steps": 2}},
}
ENDINGS = ("temperature", "int8", "augment")
"""Extras that leave what is learnt of the rows as it is, or need another test to tell."""
WITHOUT_STEPS: tuple[str, ...] = (*ENDINGS, "even weights", "given weights")
"""Extras that a method without steps has, too."""
TABLE = [(name, method) for name in EXTRAS for method in ("full", "lora")] + [
    (name, "head") for name in WITHOUT_STEPS
]
KEYWORDS = {"goal": "sports", "team": "sports", "phone": "tech", "market": "business"}
TEXTS = ["the team and the goal of the match", "a new phone chip", "market shares said today"]


@pytest.fixture
def beside(tmp_path: Path) -> dict[str, Path]:
    """Folders that extras read: each is told to every job."""
    make_artifact(tmp_path / "teacher", LABELS, keywords=KEYWORDS)
    wordnet = write_wordnet(
        tmp_path / "wordnet", [["goal", "aim"], ["phone", "telephone"], ["market", "fair"]]
    )
    return {"distil": tmp_path / "teacher", "augment.folder": wordnet}


def losses(trained: Trained) -> list[float]:
    return [epoch["loss"] for epoch in trained.details["epochs"]]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "method"), TABLE)
def test_an_extra_learns_and_its_artifact_answers_as_the_network(
    make_config: MakeConfig, tmp_path: Path, beside: dict[str, Path], name: str, method: str
) -> None:
    path = tmp_path / "work/config.json"
    path.parent.mkdir()
    options = {"epochs": 4, "patience": 4, "beside": beside, **EXTRAS[name]}
    path.write_text(make_config(method, **options).model_dump_json())
    kept: list[tuple[Job, Trained]] = []

    def train_and_keep(job: Job) -> Trained:
        kept.append((job, train(job)))
        return kept[-1][1]

    run(path, train_and_keep)
    job, trained = kept[-1]
    for details in [] if method == "head" else trained.details.get("members", [trained.details]):
        assert details["epochs"][-1]["loss"] < details["epochs"][0]["loss"]
    assert trained.validation.named["macro_f1"] > 0.5
    artifact = open_artifact(path.parent / "artifact")
    for key, value in EXTRAS[name].items():
        wanted = value["kind"] if isinstance(value, dict) and "kind" in value else value
        assert artifact.description.settings[key] == {"value": wanted, "origin": "loop file"}
        assert f"| {key} | {wanted} (loop file) |" in (artifact.folder / "card.md").read_text()
    found = json.loads((path.parent / "result.json").read_text())
    assert found["settings"] == artifact.description.settings
    _require_same_answers(job, trained, artifact.folder, 0.1 if "quantise" in EXTRAS[name] else 1e-4)


def _require_same_answers(job: Job, trained: Trained, artifact: Path, within: float) -> None:
    encodings = [job.tokenizer.encode(text).ids for text in TEXTS]
    answers = Predictor(artifact).predict(TEXTS)
    for ids, answer in zip(encodings, answers, strict=True):
        with torch.inference_mode():
            outputs = trained.network(torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.int64))
        chances = outputs.softmax(1).numpy()[0]
        wanted = dict(zip(job.dataset.contract.names, chances, strict=True))
        assert answer.scores == pytest.approx(wanted, abs=within)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "method"), [pair for pair in TABLE if pair[1] == "full" and pair[0] != "vote"]
)
def test_an_extra_goes_on_after_a_kill_bit_for_bit(
    make_job: MakeJob, folder: Path, beside: dict[str, Path], name: str, method: str
) -> None:
    options = {"method": method, "epochs": 2, "beside": beside, **EXTRAS[name]}
    undisturbed = train(make_job(**options))
    assert_same(train_killed(make_job, folder, (5, 12), **options), undisturbed)


@pytest.mark.parametrize("name", [name for name in EXTRAS if name not in ENDINGS])
def test_an_extra_changes_what_is_learnt(
    make_job: MakeJob, tmp_path: Path, beside: dict[str, Path], name: str
) -> None:
    if name == "min delta":
        options = {"epochs": 6, "patience": 1}
        assert len(losses(train(make_job("full", **options, min_delta=0.9)))) == 2
        return
    # Not as many rows of each answer.
    dataset = make_dataset(tmp_path / "rows", train=make_rows(60, seed=1, labels=[*LABELS, "tech"]))
    plain, other = (
        train(make_job("full", dataset=dataset, **{"epochs": 2, "beside": beside, **options}))
        for options in ({}, EXTRAS[name])
    )
    assert not torch.equal(plain.network.head.weight, other.network.head.weight)  # type: ignore[arg-type]


def test_each_extra_of_the_loop_file_is_in_the_table() -> None:
    there = {key for key, info in Train.model_fields.items() if Train._mark(key).extra}
    assert there <= {key for options in EXTRAS.values() for key in options}
    assert np.all([not Train().settings_of(Train().candidate("finetune")).keys() & there])
