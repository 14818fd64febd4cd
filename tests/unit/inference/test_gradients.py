"""Integrated gradients: what words add sums up to the answer, and the word it was trained on adds most."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pyarrow as pa
import pytest

from lakeloop.base_model import BaseModel, find_base_model
from lakeloop.inference import explaining
from lakeloop.inference.explaining import explained, not_there
from lakeloop.inference.gradients import ADDS_UP, attributions
from lakeloop.inference.occlusion import strongest
from lakeloop.inference.predictor import Predictor
from lakeloop.spec.explaining import GRADIENTS, OCCLUSION
from lakeloop.tasks.reading import Instance
from tests.support.artifacts import make_artifact
from tests.support.tiny_bert import LABELS, make_base_model, make_dataset, make_numbers
from tests.support.training_jobs import NUMBERS, Folders, job_config
from training.job import run
from training.train import train

PLANTED = {"business": "market", "sports": "goal", "tech": "chip"}
FILLING = ("the", "a", "of", "today", "new", "old", "said", "big", "small", "was", "story", "about")
TEXTS = [Instance(f"the big story of a {word}, today") for word in PLANTED.values()]

Trained = Callable[..., Predictor]


def planted(count: int, seed: int) -> pa.Table:
    """Rows of which one word alone says the label."""
    draw, rows = random.Random(seed), []
    for number in range(count):
        label = LABELS[number % len(LABELS)]
        words = [PLANTED[label], *draw.choices(FILLING, k=draw.randint(3, 10))]
        draw.shuffle(words)
        text = " ".join(words)
        rows.append({"row_id": f"{seed}-{number}", "text": text, "label": label, "text_key": text})
    return pa.Table.from_pylist(rows)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> BaseModel:
    return find_base_model("models/tiny", make_base_model(tmp_path_factory.mktemp("tiny")))


@pytest.fixture
def trained(tmp_path: Path, base: BaseModel, monkeypatch: pytest.MonkeyPatch) -> Trained:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    (tmp_path / "cache").mkdir()
    graphs = Path(os.environ["LAKELOOP_CACHE"]) / "graphs"
    graphs.mkdir(exist_ok=True)
    (tmp_path / "cache/graphs").symlink_to(graphs)

    def make(method: Any = "full", *, rows: pa.Table | None = None, **options: Any) -> Predictor:
        dataset = make_dataset(
            tmp_path / "rows",
            train=planted(96, 1) if rows is None else rows,
            validation=planted(24, 2) if rows is None else rows,
        )
        config = job_config(base, Folders(dataset, tmp_path / "cache", tmp_path / "j"), method, **options)
        path = tmp_path / "job/config.json"
        path.parent.mkdir()
        path.write_text(config.model_dump_json())
        run(path, train)
        return Predictor(path.parent / "artifact")

    return make


def without_words(predictor: Predictor, row: Instance) -> np.ndarray:
    """Outputs of the network that is served for as many masks as the text has tokens; float [width]."""
    ((_, encoding),) = predictor.with_places([row])
    ids = [
        predictor.pad if own == 0 else token
        for own, token in zip(encoding.sequence_ids, encoding.ids, strict=True)
    ]
    session = onnxruntime.InferenceSession(predictor.folder / "model.onnx")
    given = {"input_ids": np.array([ids]), "attention_mask": np.ones((1, len(ids)), np.int64)}
    (outputs,) = session.run(None, given)
    return np.asarray(outputs, dtype=np.float64)[0]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["full", {"kind": "prefix", "tokens": 2}])
def test_the_words_add_up_and_the_planted_one_adds_most(trained: Trained, method: Any) -> None:
    predictor = trained(method, epochs=6 if method == "full" else 1)
    answers = predictor.predict(TEXTS)
    if method == "full":  # the other one has learnt too little to be judged by its words
        assert [answer.guess for answer in answers] == list(PLANTED)  # type: ignore[attr-defined]
    for row, answer, parts in zip(TEXTS, answers, attributions(predictor, TEXTS, answers), strict=True):
        assert [part.text for part in parts] == row.text.replace(",", "").split()
        (best,) = strongest(parts, 1)
        assert best.text in PLANTED.values() or method != "full"
        outputs = np.exp(without_words(predictor, row))
        none = outputs[LABELS.index(answer.guess)] / outputs.sum()  # type: ignore[attr-defined]
        there = answer.weight_of(answer)
        assert there is not None
        assert sum(part.effect for part in parts) == pytest.approx(there - none, abs=2 * ADDS_UP)


@pytest.mark.slow
def test_of_a_number_the_words_add_up_in_its_unit(trained: Trained) -> None:
    predictor = trained(rows=make_numbers(60, seed=1), task=NUMBERS, epochs=4)
    row = Instance("the goal of team sports, today")
    (answer,) = predictor.predict([row])
    found = explained(predictor, [row], [answer], GRADIENTS)
    contract = predictor.description.contract
    none = contract.offset + contract.scale * without_words(predictor, row)[0]
    added = sum(part.effect for part in found.rows[0])
    assert found.by == GRADIENTS
    assert added == pytest.approx(answer.value - none, abs=2 * ADDS_UP * contract.scale)  # type: ignore[attr-defined]


@pytest.mark.slow
def test_what_has_no_gradients_is_explained_by_occlusion(trained: Trained, tmp_path: Path) -> None:
    counts = trained({"kind": "classical"})
    for predictor in (counts, Predictor(make_artifact(tmp_path / "model", LABELS).folder)):
        answers = predictor.predict(TEXTS)
        with pytest.raises(LookupError, match="no gradients"):
            attributions(predictor, TEXTS, answers)
        found = explained(predictor, TEXTS, answers, GRADIENTS)
        assert found == explained(predictor, TEXTS, answers, OCCLUSION)
        assert found.by == OCCLUSION


def test_what_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not_there(GRADIENTS) is None
    monkeypatch.setattr(explaining, "find_spec", lambda name: None if name == "captum" else object())
    missing = not_there(GRADIENTS)
    assert missing is not None
    assert "no captum" in str(missing)
    assert "lakeloop[explain]" in str(missing)
    assert not_there(OCCLUSION) is None
