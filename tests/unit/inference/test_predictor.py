"""The predictor answers as its artifact promises, whatever the mix of texts, and refuses a broken one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from lakeloop.artifact import write_manifest
from lakeloop.errors import ArtifactError
from lakeloop.inference.predictor import Predictor
from lakeloop.tasks.base import OutputContract
from tests.support.artifacts import make_artifact, make_number_artifact

LABELS = ("sports", "tech", "politics")


@pytest.fixture
def predictor(tmp_path: Path) -> Predictor:
    make_artifact(tmp_path / "artifact", LABELS)
    return Predictor(tmp_path / "artifact")


def test_answers_come_in_the_order_of_the_texts_whatever_their_lengths(predictor: Predictor) -> None:
    texts = [f"{'word ' * (n * 7 % 29)}{LABELS[n % 3]}" for n in range(100)]

    labels = [prediction.label for prediction in predictor.predict(texts)]

    assert labels == [LABELS[n % 3] for n in range(100)]


def test_scores_are_the_same_alone_and_in_a_batch(predictor: Predictor) -> None:
    texts = ["tech", "tech tech and sports", "politics " * 20, ""]

    together = predictor.predict(texts)
    alone = [predictor.predict([text])[0] for text in texts]

    for a, b in zip(together, alone, strict=True):
        assert a.scores == pytest.approx(b.scores, abs=1e-6)


def test_scores_sum_to_one_and_the_label_has_the_highest(predictor: Predictor) -> None:
    (prediction,) = predictor.predict(["tech tech sports"])

    assert sum(prediction.scores.values()) == pytest.approx(1, abs=1e-12)
    assert tuple(prediction.scores) == LABELS
    assert prediction.score == prediction.scores["tech"] == max(prediction.scores.values())


def test_no_texts_give_no_answers(predictor: Predictor) -> None:
    assert predictor.predict([]) == []


def test_texts_are_cut_at_the_artifacts_tokens(tmp_path: Path) -> None:
    make_artifact(tmp_path, LABELS, max_tokens=8)

    (prediction,) = Predictor(tmp_path).predict(["tech " * 6 + "sports " * 100])

    assert prediction.label == "tech"


def test_a_tokenizer_that_pads_to_a_fixed_length_changes_nothing(tmp_path: Path) -> None:
    artifact = make_artifact(tmp_path, LABELS)
    plain = Predictor(tmp_path).predict(["tech", "sports and more"])
    tokenizer = json.loads((tmp_path / "tokenizer.json").read_text())
    tokenizer["padding"] = {
        "strategy": {"Fixed": 32}, "direction": "Right", "pad_to_multiple_of": None,
        "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]",
    }  # fmt: skip
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer))
    write_manifest(tmp_path, artifact.description)

    assert Predictor(tmp_path).predict(["tech", "sports and more"]) == plain


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "card.md", "description.json"])
def test_a_changed_file_is_refused_by_its_digest(tmp_path: Path, name: str) -> None:
    make_artifact(tmp_path, LABELS)
    with (tmp_path / name).open("ab") as file:
        file.write(b" ")

    with pytest.raises(ArtifactError, match=f"{name} is not the file that was registered"):
        Predictor(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("model.onnx", b"not a model", "model cannot be loaded"),
        ("model.onnx", b"", "model cannot be loaded"),
        ("tokenizer.json", b"{}", "tokenizer cannot be read"),
    ],
)
def test_a_sealed_folder_of_garbage_is_refused(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    artifact = make_artifact(tmp_path, LABELS)
    (tmp_path / name).write_bytes(content)
    write_manifest(tmp_path, artifact.description)

    with pytest.raises(ArtifactError, match=message):
        Predictor(tmp_path)


def test_a_model_of_another_width_than_it_promises_is_refused(tmp_path: Path) -> None:
    artifact = make_artifact(tmp_path, LABELS)
    narrow = OutputContract(kind="classification", width=2, names=LABELS[:2])
    write_manifest(tmp_path, artifact.description.model_copy(update={"contract": narrow}))

    with pytest.raises(ArtifactError, match=r"not a network for classification[\s\S]*\[batch, 2\]"):
        Predictor(tmp_path)


def test_a_model_that_answers_nan_is_refused(tmp_path: Path) -> None:
    artifact = make_artifact(tmp_path, LABELS)
    model = onnx.load(tmp_path / "model.onnx")
    table = next(t for t in model.graph.initializer if t.name == "table")
    shape = tuple(table.dims)
    table.CopyFrom(onnx.numpy_helper.from_array(np.full(shape, np.nan, dtype=np.float32), "table"))
    onnx.save(model, tmp_path / "model.onnx")
    write_manifest(tmp_path, artifact.description)

    with pytest.raises(ArtifactError, match="NaN or infinite numbers"):
        Predictor(tmp_path).predict(["tech"])


def test_another_artifact_than_the_one_that_is_meant_is_refused(tmp_path: Path) -> None:
    digest = make_artifact(tmp_path, LABELS).digest

    assert Predictor(tmp_path, expect=digest).digest == digest
    with pytest.raises(ArtifactError, match="not the artifact that is meant"):
        Predictor(tmp_path, expect="0" * 64)


def test_a_number_is_answered_in_the_unit_of_the_target_and_within_its_limits(tmp_path: Path) -> None:
    make_number_artifact(tmp_path, {"good": 2.0, "bad": -2.0}, base=3.0, minimum=0.0, maximum=5.0)

    answers = Predictor(tmp_path).predict(["a good day", "bad", "good good", "a day"])

    assert [answer.model_dump() for answer in answers] == [
        {"value": 5.0}, {"value": 1.0}, {"value": 5.0}, {"value": 3.0},
    ]  # fmt: skip


def test_texts_are_cleaned_as_those_that_the_model_learnt_from(tmp_path: Path) -> None:
    artifact = make_artifact(tmp_path, ("sports", "caf\u00e9"))
    decomposed = ["cafe\u0301"]
    (as_it_is,) = Predictor(tmp_path).predict(decomposed)
    write_manifest(tmp_path, artifact.description.model_copy(update={"clean": ("normalise",)}))
    (cleaned,) = Predictor(tmp_path).predict(decomposed)

    assert (as_it_is.label, cleaned.label) == ("sports", "caf\u00e9")
