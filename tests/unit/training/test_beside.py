"""A second text, and columns beside the text, are learnt from by every method that can read them."""

from __future__ import annotations

import itertools
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lakeloop.artifact import open_artifact
from lakeloop.inference.predictor import Predictor
from lakeloop.spec.tasks import Classification
from lakeloop.tasks.reading import Instance
from tests.support.beside import FEATURES, PAIRS, make_features, make_pairs
from tests.support.forked_ranks import killed_at_batch
from training.checkpoint import Checkpoints
from training.job import run
from training.job_config import JobConfig
from training.train import train

METHODS: tuple[str | dict[str, Any], ...] = (
    "head",
    "full",
    "top_layers",
    "lora",
    {"kind": "classical", "features": "words"},
    {"kind": "classical", "features": "embeddings", "model": "boosting", "trees": 20},
)
_FEW = {"learning_rate": 1e-2, "epochs": 8, "patience": 8}


def _name(method: str | dict[str, Any]) -> str:
    return method if isinstance(method, str) else "-".join(map(str, method.values()))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    home = tmp_path_factory.mktemp("beside")
    return {"pairs": make_pairs(home / "pairs"), "features": make_features(home / "features")}


def _trained(config: JobConfig, work: Path) -> Predictor:
    work.mkdir(exist_ok=True)
    (work / "config.json").write_text(config.model_dump_json())
    run(work / "config.json", train)
    return Predictor(open_artifact(work / "artifact").folder)


Learn = Callable[[str | dict[str, Any], Classification, str], Predictor]


@pytest.fixture
def learn(make_config: Callable[..., JobConfig], folders: dict[str, Path], tmp_path: Path) -> Learn:
    """What a method makes of a task, from the data set of that name."""

    def by(method: str | dict[str, Any], task: Classification, folder: str) -> Predictor:
        options = {} if _name(method).startswith(("classical", "head")) else _FEW
        return _trained(make_config(method, task=task, dataset=folders[folder], **options), tmp_path / "work")

    return by


def _labels(predictor: Predictor, asked: list[Instance]) -> list[str]:
    return [answer.label for answer in predictor.predict(asked)]  # type: ignore[attr-defined]


@pytest.mark.parametrize("method", METHODS, ids=_name)
def test_what_stands_beside_decides_the_answers_of_the_artifact(
    learn: Learn, method: str | dict[str, Any]
) -> None:
    predictor = learn(method, FEATURES, "features")
    assert predictor.description.reads.width == 2 + 3
    asked = [
        Instance("the story", None, {"amount": 1000, "plan": "free"}),
        Instance("the story", None, {"amount": 10, "plan": "free"}),
        Instance("the story", None, {"amount": 10, "plan": "pro"}),
    ]
    assert _labels(predictor, asked) == ["business", "sports", "tech"]


@pytest.mark.parametrize("method", ["head", "full", {"kind": "classical", "features": "words"}], ids=_name)
def test_a_second_text_decides_the_answers_of_the_artifact(
    learn: Learn, method: str | dict[str, Any]
) -> None:
    predictor = learn(method, PAIRS, "pairs")
    asked = [Instance("the story", f"{word} {word}  of the {word}") for word in ("market", "goal", "chip")]
    assert _labels(predictor, asked) == ["business", "sports", "tech"]


def test_the_same_rows_with_features_give_the_same_artifact(
    make_config: Callable[..., JobConfig], folders: dict[str, Path], tmp_path: Path
) -> None:
    digests = set()
    for name in ("one", "two"):
        config = make_config("full", task=FEATURES, dataset=folders["features"], epochs=2)
        digests.add(_trained(config, tmp_path / name).digest)
    assert len(digests) == 1


@pytest.mark.parametrize("method", ["full", "top_layers"])
def test_killed_between_checkpoints_it_goes_on_to_the_artifact_of_an_unkilled_one(
    make_config: Callable[..., JobConfig],
    folders: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    method: str,
) -> None:
    """By SIGKILL in step 8, the last checkpoint after step 5: what is read beside the text is the same."""
    config = make_config(method, task=FEATURES, dataset=folders["features"], epochs=2)
    undisturbed = _trained(config, tmp_path / "undisturbed")
    steps = itertools.count(1)
    monkeypatch.setattr(Checkpoints, "due", property(lambda _: next(steps) % 5 == 0))

    assert killed_at_batch(8, lambda: _trained(config, tmp_path / "killed")) == -signal.SIGKILL
    (saved,) = (tmp_path / "killed/checkpoints").iterdir()
    assert saved.name == "step-5"

    with caplog.at_level("INFO"):
        run(tmp_path / "killed/config.json", train)
    assert "goes on after step 5 of 30" in caplog.text
    assert "begins anew" not in caplog.text
    artifact = open_artifact(tmp_path / "killed/artifact")
    assert artifact.digest == undisturbed.digest


def test_killed_before_its_first_checkpoint_it_says_that_it_begins_anew(
    make_config: Callable[..., JobConfig], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config, work = make_config("full", epochs=1), tmp_path / "work"
    with caplog.at_level("INFO"):
        for _ in range(2):
            assert killed_at_batch(3, lambda: _trained(config, work)) == -signal.SIGKILL
        run(work / "config.json", train)
        assert "begins anew: no checkpoint of the 2 try(s) before is there to go on from" in caplog.text
        caplog.clear()
        _trained(config, tmp_path / "first")
    assert "begins anew" not in caplog.text
