from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from lakeloop.artifact import ArtifactDescription, open_artifact
from lakeloop.base_model import BaseModel
from lakeloop.errors import ArtifactError
from lakeloop.tasks.base import OutputContract, Profile
from tests.support.tiny_bert import LABELS, make_rows
from training.data import load_tokenizer, tokenise
from training.export import card, compare, export_artifact
from training.graph import graph_of
from training.network import Network, load_encoder

pytestmark = pytest.mark.slow  # tracing takes seconds, whatever the size

TEXTS = make_rows(9, seed=4)["text"].to_pylist()


def describe() -> ArtifactDescription:
    return ArtifactDescription(
        loop="small",
        candidate="finetune",
        method="lora",
        contract=OutputContract(kind="classification", width=3, names=LABELS),
        clean=("normalise",),
        max_tokens=24,
        base_model="models/tiny",
        base_digest="b" * 64,
        dataset_digest="d" * 64,
        seed=17,
        profile=Profile(rows=90, shares=dict.fromkeys(LABELS, 1 / 3)),
        validation_metrics={"macro_f1": 0.9},
        settings={"epochs": {"value": 4, "origin": "default"}},
    )


def graphs() -> Path:
    return Path(os.environ["LAKELOOP_CACHE"]) / "graphs"


@pytest.fixture(scope="module")
def network(base: BaseModel) -> Network:
    torch.manual_seed(0)
    return Network(load_encoder(base, 24), 3).eval()


@pytest.fixture(scope="module")
def onnx_file(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    onnx.save(graph_of(network, graphs()), path)
    return path


def test_the_file_answers_for_any_number_of_rows_and_tokens(
    network: Network, onnx_file: Path, base: BaseModel
) -> None:
    session = onnxruntime.InferenceSession(onnx_file)
    assert [(i.name, i.type, i.shape) for i in session.get_inputs()] == [
        ("input_ids", "tensor(int64)", ["batch", "tokens"]),
        ("attention_mask", "tensor(int64)", ["batch", "tokens"]),
    ]
    tokens = tokenise(load_tokenizer(base.tokenizer, 24), [*TEXTS, "goal"])
    for rows in (np.array([9]), np.arange(10), np.array([0, 9])):
        batch = tokens.batch(rows)
        inputs = {"input_ids": batch.input_ids.numpy(), "attention_mask": batch.attention_mask.numpy()}
        (found,) = session.run(["outputs"], inputs)
        with torch.inference_mode():
            wanted = network(batch.input_ids, batch.attention_mask)
        np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_the_file_says_nothing_of_the_machine_it_was_made_on(onnx_file: Path, root: Path) -> None:
    content = onnx_file.read_bytes()
    assert str(root).encode() not in content
    assert b"site-packages" not in content
    assert b".py" not in content


def test_a_file_that_computes_something_else_is_refused(
    network: Network, onnx_file: Path, base: BaseModel
) -> None:
    tokenizer = load_tokenizer(base.tokenizer, 24)
    assert compare(network, onnx_file, tokenise(tokenizer, TEXTS)) < 1e-5
    other = Network(load_encoder(base, 24), 3).eval()
    with pytest.raises(ArtifactError, match="does not compute what the trained one does"):
        compare(other, onnx_file, tokenise(tokenizer, TEXTS))
    with torch.no_grad():
        other.head.bias.fill_(float("nan"))
    with pytest.raises(ArtifactError, match="nan apart"):
        compare(other, onnx_file, tokenise(tokenizer, TEXTS))


def test_an_artifact_is_whole_and_has_no_padding_of_its_own(
    network: Network, base: BaseModel, tmp_path: Path
) -> None:
    (tmp_path / "artifact.partial").mkdir()
    (tmp_path / "artifact.partial" / "left").write_text("by a try that was killed")
    tokenizer = load_tokenizer(base.tokenizer, 24)
    artifact = export_artifact(
        network,
        tokenizer,
        describe(),
        tokenise(tokenizer, TEXTS),
        rows={"train": 90, "validation": 9},
        into=tmp_path / "artifact",
        graphs=graphs(),
    )
    assert open_artifact(tmp_path / "artifact").digest == artifact.digest
    assert sorted(path.name for path in artifact.folder.iterdir()) == [
        "base_config.json",
        "card.md",
        "description.json",
        "manifest.json",
        "model.onnx",
        "model.safetensors",
        "tokenizer.json",
    ]
    assert not (tmp_path / "artifact.partial").exists()
    stored = load_tokenizer(artifact.folder / "tokenizer.json", 24)
    assert stored.padding is None


def test_the_card_says_what_a_person_must_know() -> None:
    text = card(describe(), {"train": 90, "validation": 9})
    for part in (
        "lora",
        "models/tiny",
        "b" * 64,
        "d" * 64,
        "| Rows, train | 90 |",
        "0.9000",
        "| tech | 33.3% |",
        "| Texts are cleaned by | normalise |",
        "| epochs | 4 (default) |",
    ):
        assert part in text


def test_the_card_of_numbers_says_how_they_are_spread() -> None:
    numbers = {"mean": 12.5, "deviation": 3.0, "edge/0": 0.0}
    profile = Profile(rows=9, shares={"0 to 20": 1.0}, numbers=numbers)
    contract = OutputContract(kind="regression", width=1)
    text = card(describe().model_copy(update={"contract": contract, "profile": profile}), {"train": 9})
    for part in ("regression", "| 0 to 20 | 100.0% |", "| mean | 12.5 |", "| deviation | 3 |"):
        assert part in text
    assert "edge/0" not in text
