"""What a training does beside its method: refused where it makes no sense, nothing where it is off."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lakeloop.errors import ConfigurationError
from lakeloop.settings import Settings
from lakeloop.spec.identity import candidate_settings, weights_of
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.methods import Classical, FewShot, Head, ZeroShot
from lakeloop.spec.origins import origins_of
from lakeloop.spec.reading.load import load_loop
from lakeloop.spec.reading.override import override
from lakeloop.spec.train import Candidate, Train
from tests.support.number_loop import number_loop
from tests.support.small_loop import small_loop


@pytest.fixture
def loop(root: Path, settings: Settings) -> LoopSpec:
    return load_loop(root / "loops/news/loop.yaml", settings)


OFF: dict[str, Any] = {
    "train.min_delta": 0.0,
    "train.dropout": None,
    "train.label_smoothing": 0.0,
    "train.class_weights": "none",
    "train.sampling": "once",
    "train.adversarial": "none",
    "train.average": "none",
    "train.distil": "none",
    "train.augment": "none",
    "train.vote": 1,
    "train.calibration": "none",
    "train.quantise": "none",
}


def test_an_extra_that_is_said_to_be_off_is_not_there(loop: LoopSpec) -> None:
    said = override(loop, OFF)
    for candidate in loop.train.all_candidates:
        assert weights_of(said, candidate) == weights_of(loop, candidate)
        assert said.train.settings_of(candidate) == loop.train.settings_of(candidate)


def test_an_extra_decides_the_weights_and_says_where_it_is_from(loop: LoopSpec) -> None:
    changes = {"train.adversarial": "pgd", "train.adversarial.steps": 2, "train.label_smoothing": 0.1}
    changed = override(loop, changes)
    baseline, finetune = changed.train.all_candidates
    assert candidate_settings(changed.train, finetune) == {
        "method": "top_layers",
        "label_smoothing": 0.1,
        "adversarial": {"kind": "pgd", "steps": 2},
    }
    assert candidate_settings(changed.train, baseline) == {"method": "head"}
    found = changed.train.settings_of(finetune)
    assert (found["adversarial"], found["adversarial.steps"]) == ("pgd", 2)
    origins = origins_of(changed.train, finetune, changes)
    assert set(origins) == set(found)
    assert (origins["adversarial.steps"], origins["adversarial.epsilon"]) == ("run", "default")
    assert Train.model_validate_json(changed.train.model_dump_json(), strict=True) == changed.train


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        (
            {"method": "head", "dropout": 0.1},
            "dropout.*is nothing to method head, expected one of the methods few_shot",
        ),
        (
            {"method": "few_shot", "label_smoothing": 0.1},
            "label_smoothing.*is nothing to method head, few_shot",
        ),
        ({"class_weights": {"sport": 2.0}}, "sport.*no such answer, expected business"),
        ({"class_weights": "even"}, "none, balanced, or a weight for each answer"),
        ({"class_weights": {"business": 0.0}}, "greater than 0|above 0"),
        ({"adversarial": "fgn"}, "fgm"),
        ({"distil": "folder"}, "folder.folder"),
        (
            {
                "candidates": [{"name": "a", "method": {"kind": "classical", "model": "forest"}}],
                "calibration": "temperature",
            },
            "is nothing to method classical",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(section: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        small_loop(train=section)


@pytest.mark.parametrize(
    "extra",
    [
        {"label_smoothing": 0.1},
        {"class_weights": "balanced"},
        {"sampling": "balanced"},
        {"calibration": "temperature"},
    ],
)
def test_what_is_about_classes_is_nothing_to_numbers(extra: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="is nothing to a regression"):
        number_loop(train=extra)


def test_class_weights_are_for_methods_without_steps_too_and_decide_their_weights() -> None:
    train = Train(class_weights="balanced")
    linear, trees = Head(kind="head"), Classical(kind="classical", model="forest")
    for method in (linear, trees):
        assert train.only_for(method) == train
        found = candidate_settings(train, Candidate(name="one", method=method))
        assert found["class_weights"] == "balanced"
    unlearnt = (ZeroShot(kind="zero_shot"), FewShot(kind="few_shot"))
    assert [train.only_for(method) for method in unlearnt] == [Train(), Train()]


def test_a_run_is_told_the_same(loop: LoopSpec) -> None:
    with pytest.raises(ConfigurationError, match=r"train.dropout: is nothing to method head") as raised:
        override(loop, {"train.method": "head", "train.dropout": 0.2})
    assert "top_layers" in str(raised.value)


def test_folders_beside_the_base_model_are_told_and_confined(root: Path, settings: Settings) -> None:
    train = Train(distil={"kind": "folder", "folder": "models/teacher"})  # type: ignore[arg-type]
    baseline, finetune = train.all_candidates
    assert train.folders_for(finetune.method) == {"distil.folder": "models/teacher"}
    assert train.folders_for(baseline.method) == {}
    assert train.only_for(baseline.method) == Train()
    text = (root / "loops/news/loop.yaml").read_text()
    path = settings.loop_file("news")
    path.parent.mkdir()
    path.write_text(text.replace("train:\n", "train:\n  distil: {kind: folder, folder: /etc}\n", 1))
    with pytest.raises(ConfigurationError, match=r"train.distil.folder"):
        load_loop(path, settings)
