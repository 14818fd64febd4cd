"""A version as a folder of its own: verified, with its card, and an encoder that transformers loads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import httpx
import numpy as np
import pytest
from huggingface_hub import ModelCard
from safetensors.numpy import load_file, save_file

from lakeloop.artifact import WEIGHTS, open_artifact, write_manifest
from lakeloop.errors import ArtifactError, ConfigurationError, DataError
from lakeloop.inference.predictor import Predictor
from lakeloop.local.airflow_env import free_port
from lakeloop.registry.export import export_version
from lakeloop.registry.registry import Registry
from lakeloop.stages.frame.session import StageContext
from lakeloop.tasks.reading import Instance
from tests.support.artifacts import make_artifact
from tests.support.small_loop import LABELS, small_context, small_loop
from tests.unit.registry.test_registry import CARD


@pytest.fixture
def context(tmp_path: Path) -> StageContext:
    return small_context(tmp_path)


def with_encoder(folder: Path) -> Path:
    """An artifact whose weights are those of a tiny BERT and of a head."""
    from transformers import BertConfig, BertModel

    artifact = make_artifact(folder, LABELS)
    config = BertConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, vocab_size=20
    )
    state = BertModel(config).state_dict()
    tensors = {f"encoder.{name}": tensor.numpy() for name, tensor in state.items()}
    save_file({**tensors, "head.weight": np.ones((3, 8), np.float32)}, folder / WEIGHTS)
    (folder / "base_config.json").write_text(config.to_json_string(use_diff=False))
    write_manifest(folder, artifact.description)
    return folder


@pytest.mark.slow  # imports transformers
def test_the_folder_answers_loads_in_transformers_and_has_a_card_that_hubs_read(
    context: StageContext, tmp_path: Path
) -> None:
    from transformers import AutoModel, AutoTokenizer

    version = Registry(context.lake).register(with_encoder(tmp_path / "made"), CARD)
    names = export_version(context.lake.files, small_loop(), version, lambda: None, tmp_path / "out/v1")
    out = tmp_path / "out/v1"
    assert {"README.md", "artifact/model.onnx", "transformers/config.json"} <= set(names)
    assert open_artifact(out / "artifact", expect=version.digest)
    (answer,) = Predictor(out / "artifact").predict(["a story about sports"])
    assert json.loads(answer.model_dump_json())["label"] == "sports"
    encoder = AutoModel.from_pretrained(out / "transformers", local_files_only=True)
    sealed = load_file(out / "artifact" / WEIGHTS)
    for name, tensor in encoder.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), sealed[f"encoder.{name}"])
    tokenizer = AutoTokenizer.from_pretrained(out / "transformers", local_files_only=True)
    assert tokenizer("sports")["input_ids"]
    card = ModelCard.load(out / "README.md")
    (result,) = card.data.eval_results
    assert (result.metric_type, result.metric_value) == ("macro_f1", 0.95)
    assert "business, sports, tech" in card.text


def test_without_an_encoder_there_is_no_such_folder(context: StageContext, tmp_path: Path) -> None:
    made = make_artifact(tmp_path / "made", LABELS).folder
    version = Registry(context.lake).register(made, CARD)
    export_version(context.lake.files, small_loop(), version, lambda: None, tmp_path / "out")
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    image = [".dockerignore", "Dockerfile", "README.md", "RUN.md", "artifact", "package", "requirements.txt"]
    assert names == image


def test_what_is_there_is_not_overwritten_and_what_is_damaged_not_exported(
    context: StageContext, tmp_path: Path
) -> None:
    files = context.lake.files
    version = Registry(context.lake).register(make_artifact(tmp_path / "made", LABELS).folder, CARD)
    (tmp_path / "out").mkdir()
    with pytest.raises(ConfigurationError, match="there already"):
        export_version(files, small_loop(), version, lambda: None, tmp_path / "out")
    (Path(files.uri("models/v1")) / "model.onnx").write_bytes(b"?")
    with pytest.raises(ArtifactError, match="not the ones that were stored"):
        export_version(files, small_loop(), version, lambda: None, tmp_path / "other")
    assert not (tmp_path / "other").exists()
    assert not list(tmp_path.glob(".other*"))


def test_a_network_in_eight_bits_lies_beside_and_leaves_nothing_where_it_is_refused(
    context: StageContext, tmp_path: Path
) -> None:
    files, rows = context.lake.files, [Instance("about sports"), Instance("about tech")]
    version = Registry(context.lake).register(make_artifact(tmp_path / "made", LABELS).folder, CARD)
    names = export_version(files, small_loop(), version, lambda: None, tmp_path / "out", (lambda: rows, 1.0))
    assert {"int8/model.onnx", "int8/check.json", "int8/manifest.json", "artifact/model.onnx"} <= set(names)
    assert open_artifact(tmp_path / "out/artifact", expect=version.digest)
    with pytest.raises(DataError, match="no rows"):
        export_version(files, small_loop(), version, lambda: None, tmp_path / "none", (list, 1.0))
    assert not (tmp_path / "none").exists()


def test_the_folder_answers_over_http_by_the_code_in_it(context: StageContext, tmp_path: Path) -> None:
    version = Registry(context.lake).register(make_artifact(tmp_path / "made", LABELS).folder, CARD)
    export_version(context.lake.files, small_loop(), version, lambda: None, tmp_path / "out")
    pinned = dict(
        line.split("==") for line in (tmp_path / "out/requirements.txt").read_text().split() if "==" in line
    )
    assert {"onnxruntime", "tokenizers", "fastapi", "uvicorn", "numpy"} <= set(pinned)
    assert "torch" not in pinned
    assert "apache-airflow" not in pinned
    port = free_port()
    served = subprocess.Popen(
        [sys.executable, "-m", "lakeloop.serving.alone"],
        cwd=tmp_path / "out",
        env={**os.environ, "PYTHONPATH": str(tmp_path / "out/package"), "PORT": str(port), "TEXTS": "2"},
    )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                assert httpx.get(f"{url}/healthz").json()["model_digest"] == version.digest
                break
            except httpx.TransportError:
                assert time.monotonic() < deadline
                assert served.poll() is None
                time.sleep(0.1)
        texts = ["a story about sports", "tech it is"]
        answers = httpx.post(f"{url}/v1/predict", json={"texts": texts, "top_k": 1}).json()["predictions"]
        assert [answer["label"] for answer in answers] == ["sports", "tech"]
        assert [len(answer["scores"]) for answer in answers] == [1, 1]
        assert httpx.post(f"{url}/v1/predict", json={"texts": ["x"] * 3}).status_code == 413
        asked = [{"text": "x", "features": {"age": 3}}]
        assert httpx.post(f"{url}/v1/predict", json={"instances": asked}).status_code == 422
    finally:
        served.terminate()
        served.wait(10)
