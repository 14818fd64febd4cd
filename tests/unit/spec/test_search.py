"""What a search may try, by the keys' own marks and types, and what a search is the same as."""

from __future__ import annotations

from typing import Any

import pytest

from lakeloop.errors import ConfigurationError
from lakeloop.spec.identity import training_identity, weights_of
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.reading.override import overridable_keys, override
from lakeloop.spec.search import Dimension, grid_of
from lakeloop.spec.train import Train
from tests.support.loops import Refuse
from tests.support.small_loop import small_loop

RATES = {"low": 1e-5, "high": 1e-3, "log": True}


def searching(space: dict[str, Any] | None = None, **keys: Any) -> LoopSpec:
    train = {name: keys.pop(name) for name in ("candidates", "method", "launcher") if name in keys}
    return small_loop(train={**train, "search": {"space": space or {"learning_rate": RATES}, **keys}})


@pytest.mark.parametrize(
    ("space", "told"),
    [
        ({"learning_rat": RATES}, "decides nothing of finetune"),
        ({"min_rows": [10]}, "decides nothing of finetune"),
        ({"method.rank": [4]}, "decides nothing of finetune"),
        ({"epochs": {"low": 1.5, "high": 3.0}}, "a valid integer"),
        ({"epochs": [0]}, "greater than or equal to 1"),
        ({"epochs": ["many"]}, "a valid integer"),
        ({"learning_rate": {"low": 0.1, "high": 2.0}}, "less than 1"),
        ({"learning_rate": {"low": 0.1, "high": 0.01}}, "the range is empty"),
        ({"learning_rate": {"low": 0.1}}, "no values"),
        ({"learning_rate": []}, "no values"),
        ({"learning_rate": {**RATES, "step": 0.1}}, "a step is of no use with log"),
        ({"learning_rate": {**RATES, "choices": [0.1]}}, "says choices and a range"),
        ({"epochs": {"low": 1, "high": 9, "step": 0.5}}, "wrong step"),
        ({}, "at least 1"),
    ],
)
def test_what_no_key_takes_is_refused(space: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        small_loop(train={"search": {"space": space}})


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"candidate": "fintune"}, "no such candidate"),
        ({"sampler": "grid"}, "no number of values for a grid"),
        ({"sampler": "grid", "space": {"seed": {"low": 0, "high": 99_999}}}, "too large a grid"),
        (
            {
                "candidate": "deep",
                "candidates": [{"name": "deep", "method": "lora"}, {"name": "deep_2", "method": "head"}],
            },
            "is called deep_2",
        ),
        (
            {
                "candidate": "deep",
                "candidates": [{"name": "deep", "method": "lora"}, {"name": "deep_trial", "method": "head"}],
            },
            "is called deep_trial",
        ),
        (
            {"launcher": "torchrun", "method": "lora", "space": {"method.rank": [4, 8]}},
            "trials of several processes are not ended early",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(keys: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        searching(**keys)


def test_keys_of_the_method_are_those_of_the_candidate_that_is_searched() -> None:
    loop = searching({"method.rank": {"low": 4, "high": 32, "step": 4}}, method="lora")
    assert loop.train.search is not None
    assert grid_of(loop.train.search.space["method.rank"]) == (4, 8, 12, 16, 20, 24, 28, 32)
    tried = loop.train.tried("finetune", {"method.rank": 12, "learning_rate": 1e-4})
    assert tried.search is None
    candidate = tried.candidate("finetune")
    assert tried.settings_of(candidate)["method.rank"] == 12
    assert tried.settings_of(candidate)["learning_rate"] == 1e-4


def test_a_trial_is_the_training_that_a_loop_file_with_its_values_asks_for() -> None:
    loop = searching({"epochs": [1, 2], "method.layers": [1, 2]})
    tried = loop.train.tried("finetune", {"epochs": 2, "method.layers": 1})
    same = small_loop(train={"epochs": 2, "method": {"kind": "top_layers", "layers": 1}})
    asked = loop.model_copy(update={"train": tried})
    assert weights_of(asked, tried.candidate("finetune")) == weights_of(
        same, same.train.candidate("finetune")
    )


def test_a_search_is_in_the_identity_of_its_candidate_alone() -> None:
    plain, search = small_loop(train={}), searching()
    for name, same in (("baseline", True), ("finetune", False)):
        found = [weights_of(loop, loop.train.candidate(name)) for loop in (plain, search)]
        assert (found[0] == found[1]) == same
    assert training_identity(searching(parallel=4)) == training_identity(search)
    for keys in ({"trials": 7}, {"sampler": "random"}, {"keep": 2}, {"space": {"epochs": [1, 2]}}):
        assert training_identity(searching(**keys)) != training_identity(search)


def test_one_run_may_set_how_many_trials_of_a_loop_that_searches() -> None:
    changed = override(searching(), {"train.search.trials": 5, "train.search.minutes": 10})
    assert changed.train.search is not None
    assert (changed.train.search.trials, changed.train.search.minutes) == (5, 10)
    assert "train.search.trials" not in overridable_keys(small_loop(train={}))
    with pytest.raises(ConfigurationError):
        override(small_loop(train={}), {"train.search.trials": 5})


def test_a_grid_has_the_values_that_somebody_means() -> None:
    assert grid_of(Dimension(low=0.1, high=0.3, step=0.1)) == (0.1, 0.2, 0.3)
    assert grid_of(Dimension(low=1, high=3)) == (1, 2, 3)
    assert grid_of(Dimension(low=0.1, high=0.3)) is None


def test_a_section_as_a_job_reads_it_is_the_same_again() -> None:
    section = searching({"epochs": [1, 2], "learning_rate": RATES}).train
    assert Train.model_validate_json(section.model_dump_json(exclude_unset=True)) == section


def test_a_wrong_key_of_the_space_is_one_problem(refuse: Refuse) -> None:
    """Without it the space is empty, which nobody wrote."""
    for more in ("", ", trials: 4"):
        text = refuse(("train:", f"train:\n  search: {{space: {{learning_rat: [1.0e-4]}}{more}}}"))
        assert text.startswith("loops/news/loop.yaml: 1 problem\n")
        assert "did you mean: learning_rate" in text
