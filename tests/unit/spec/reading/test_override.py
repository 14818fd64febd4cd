"""What one run may change of a loop, and what it may not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lakeloop.errors import ConfigurationError
from lakeloop.settings import Settings
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.methods import METHODS, Lora, TopLayers, kind_of
from lakeloop.spec.quoting import choices
from lakeloop.spec.reading.load import load_loop
from lakeloop.spec.reading.override import overridable_keys, override
from tests.support.small_loop import small_loop

KINDS = choices([kind_of(method) for method in METHODS])


@pytest.fixture
def loop(root: Path, settings: Settings) -> LoopSpec:
    return load_loop(root / "loops/news/loop.yaml", settings)


def test_values_are_changed_and_everything_else_stays(loop: LoopSpec) -> None:
    changed = override(loop, {"train.method": "lora", "train.learning_rate": 1e-4, "gate.min_score": 1})
    assert (changed.train.method.kind, changed.train.learning_rate) == ("lora", 1e-4)
    assert changed.gate.min_score == 1
    same = changed.model_copy(update={"train": loop.train, "gate": loop.gate})
    assert same == loop
    assert loop.train.method.kind == "top_layers"


def test_no_changes_give_an_equal_loop(loop: LoopSpec) -> None:
    assert override(loop, {}) == loop


def test_a_value_can_be_put_back_to_nothing(loop: LoopSpec) -> None:
    fixed = override(loop, {"train.learning_rate": 0.1})
    assert override(fixed, {"train.learning_rate": None}) == loop


def test_every_wrong_key_is_named_with_the_nearest_right_one(loop: LoopSpec) -> None:
    with pytest.raises(ConfigurationError) as caught:
        override(loop, {"train.metod": "lora", "epochs": 3, "split.test": 0.1, "name": "x"})
    text = str(caught.value)
    assert text.startswith("overrides of loop news: 4 problems\n")
    assert "\n  train.metod: unknown key\n" in text
    assert "\n    did you mean: train.method\n" in text
    assert "\n    did you mean: train.epochs\n" in text
    assert "\n  split.test: is decided by the loop file alone\n" in text
    assert "\n  name: is decided by the loop file alone\n" in text


def test_a_key_of_the_method_is_looked_for_at_the_candidates_where_the_file_lists_them() -> None:
    listed = small_loop(
        train={"candidates": [{"name": "cheap", "method": "head"}, {"name": "deep", "method": "lora"}]}
    )
    with pytest.raises(ConfigurationError) as caught:
        override(listed, {"train.method": "full"})
    assert "is said for each candidate here" in str(caught.value)
    assert "train.candidates.cheap.method, train.candidates.deep.method" in str(caught.value)
    assert (
        override(listed, {"train.candidates.deep.method": "full"}).train.candidates[1].method.kind == "full"
    )


def test_every_wrong_value_is_named(loop: LoopSpec) -> None:
    with pytest.raises(ConfigurationError) as caught:
        override(loop, {"train.method": "loar", "train.epochs": "3", "gate.min_score": -1})
    assert str(caught.value) == (
        "overrides of loop news: 2 problems\n"
        "  train.method.kind: wrong value\n"
        f"    expected: {KINDS}\n"
        '    found: "loar" (text)\n'
        "    did you mean: lora\n"
        "  train.epochs: wrong value\n"
        "    expected: a whole number\n"
        '    found: "3" (text)'
    )


def test_a_run_cannot_change_which_rows_are_held_back_or_where_they_come_from(loop: LoopSpec) -> None:
    of_sections = {key.split(".")[0] for key in overridable_keys(loop)}
    assert of_sections == {"train", "evaluate", "gate", "score"}


def test_a_key_of_a_method_is_set_beside_the_method_that_has_it(loop: LoopSpec) -> None:
    changed = override(loop, {"train.method.rank": 4, "train.method": "lora"})
    assert changed.train.method == Lora(kind="lora", rank=4)
    assert override(loop, {"train.method.layers": 1}).train.method == TopLayers(kind="top_layers", layers=1)


def test_a_key_of_another_method_is_refused_and_says_which_method_has_it(loop: LoopSpec) -> None:
    with pytest.raises(ConfigurationError) as caught:
        override(loop, {"train.method.rank": 4})
    assert str(caught.value) == (
        "overrides of loop news: 1 problem\n"
        "  train.method.rank: a key of another kind than top_layers\n"
        "    expected: one of kind, layers\n"
        "    found: rank\n"
        "    to do: rank is a key of lora, dora, adalora or vera: set train.method=lora as well"
    )


def test_a_candidate_that_the_loop_file_lists_is_changed_by_its_name(loop: LoopSpec) -> None:
    content = loop.model_dump(mode="json", exclude_unset=True)
    content["train"].pop("method")
    content["train"]["candidates"] = [{"name": "quick", "method": "head"}, {"name": "deep", "method": "lora"}]
    listed = LoopSpec.model_validate_json(json.dumps(content), strict=True)
    assert "train.method" not in overridable_keys(listed)
    with pytest.raises(ConfigurationError, match=r"vera: set train\.candidates\.quick\.method=lora as well"):
        override(listed, {"train.candidates.quick.method.rank": 2})
    changed = override(listed, {"train.candidates.deep.method.rank": 2})
    assert changed.train.candidate("deep").method == Lora(kind="lora", rank=2)
    assert changed.train.candidate("quick") == listed.train.candidate("quick")
