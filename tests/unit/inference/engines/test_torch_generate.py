"""Artifacts of language models: sealed, opened, and refused where they are not whole or nothing runs them."""

from __future__ import annotations

import builtins
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from lakeloop.artifact import WRITER, Artifact, open_artifact, write_manifest
from lakeloop.bases.files import SEALED_CONFIG, WEIGHTS
from lakeloop.errors import ArtifactError
from lakeloop.inference.engines import torch_generate
from lakeloop.inference.engines.torch_generate import TorchGenerate
from lakeloop.inference.predictor import Predictor
from lakeloop.tasks.reading import Instance
from tests.support.tiny_writers import TURNED
from tests.support.written import make_writing_artifact


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return make_writing_artifact(tmp_path_factory.mktemp("artifact") / "v1", 1)


@pytest.fixture
def changed(artifact: Artifact, tmp_path: Path) -> Callable[[Callable[[Path], None]], Path]:
    """`changed(change)`: the artifact after `change` of its folder, sealed again."""

    def make(change: Callable[[Path], None]) -> Path:
        folder = tmp_path / "changed"
        shutil.copytree(artifact.folder, folder)
        change(folder)
        write_manifest(folder, artifact.description)
        return folder

    return make


@pytest.mark.parametrize(
    ("kind", "task"), [("gpt2", {}), ("t5", {"task": TURNED}), ("bart", {"task": TURNED})]
)
def test_answers_are_those_of_the_text_alone(tmp_path: Path, kind: str, task: dict[str, Any]) -> None:
    predictor = Predictor(make_writing_artifact(tmp_path / "v1", 3, kind=kind, **task).folder)
    texts = ["red", "red blue green", "white white white grey black"]
    assert predictor.predict(texts) == [predictor.predict([text])[0] for text in texts]
    assert predictor.predict([]) == []


@pytest.mark.parametrize(
    ("kind", "task"), [("llama", {}), ("gpt2", {}), ("t5", {"task": TURNED}), ("bart", {"task": TURNED})]
)
def test_losses_of_right_answers_are_those_of_transformers_row_by_row(
    tmp_path: Path, kind: str, task: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = Predictor(make_writing_artifact(tmp_path / "v1", 3, kind=kind, **task).folder)
    rows = [Instance(text) for text in ("red", "red blue green", "white white white grey black")]
    right = ["blue", "green red", "black grey white red blue green"]
    found = predictor.losses(rows, right)
    assert found is not None
    engine, prompts = predictor._engine, predictor._prompts
    assert isinstance(engine, TorchGenerate)
    assert prompts is not None
    for number, (asked, answer) in enumerate(
        zip(prompts.ids([row.text for row in rows]), prompts.right(right), strict=True)
    ):
        if kind in ("llama", "gpt2"):
            ids, labels = [*asked, *answer], [*[-100] * len(asked), *answer]
        else:
            ids, labels = asked, answer
        with torch.inference_mode():
            loss = engine._model(input_ids=torch.tensor([ids]), labels=torch.tensor([labels])).loss
        assert found[number] == pytest.approx([float(loss) * len(answer), len(answer)], rel=1e-4)
    monkeypatch.setattr(torch_generate, "_MOST_NUMBERS", 1)
    assert predictor.losses(rows, right) == pytest.approx(found, rel=1e-4)
    assert predictor.losses([], []) is None


def test_a_description_says_what_runs_it_and_what_it_writes(artifact: Artifact) -> None:
    told = json.loads((artifact.folder / "description.json").read_text())
    assert told["engine"] == WRITER
    assert told["contract"]["width"] == 16
    assert told["contract"]["writing"]["ends"] == [2]
    assert open_artifact(artifact.folder).description == artifact.description


@pytest.mark.parametrize("name", [WEIGHTS, SEALED_CONFIG, "tokenizer.json"])
def test_an_artifact_that_lacks_what_its_engine_reads_is_not_sealed(
    changed: Callable[..., Path], name: str
) -> None:
    with pytest.raises(ArtifactError, match="artifact is incomplete") as raised:
        changed(lambda folder: (folder / name).unlink())
    assert name in raised.value.expected


def test_a_weight_that_is_missing_is_named(changed: Callable[..., Path]) -> None:
    def drop(folder: Path) -> None:
        weights = load_file(folder / WEIGHTS)
        weights.pop("encoder.model.norm.weight")
        save_file(weights, folder / WEIGHTS)

    with pytest.raises(ArtifactError, match=r"1 of the weights are missing .* model.norm.weight"):
        Predictor(changed(drop))


def test_a_config_of_something_else_is_refused(changed: Callable[..., Path]) -> None:
    def other(folder: Path) -> None:
        (folder / SEALED_CONFIG).write_text(json.dumps({"model_type": "no such"}))

    with pytest.raises(ArtifactError, match="model cannot be loaded"):
        Predictor(changed(other))


def test_without_torch_the_error_says_what_to_install(
    artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError("No module named 'torch'")
        return whole(name, *rest)

    monkeypatch.delitem(sys.modules, "lakeloop.inference.engines.torch_generate")
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ArtifactError, match="what runs it is not installed") as raised:
        Predictor(artifact.folder)
    assert 'pip install "lakeloop[generate]"' in raised.value.remedy
