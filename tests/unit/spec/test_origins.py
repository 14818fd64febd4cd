from __future__ import annotations

from typing import Any

import pytest

from lakeloop.errors import ConfigurationError
from lakeloop.spec.origins import origins_of
from lakeloop.spec.reading.override import override
from lakeloop.spec.train import Train
from tests.support.small_loop import small_loop


def origins(section: dict[str, Any], name: str = "finetune", **changes: Any) -> dict[str, str]:
    """Origins of the settings of a candidate after the `changes` of a run (`__` for a dot)."""
    made = {key.replace("__", "."): value for key, value in changes.items()}
    train = override(small_loop(train=section), made).train
    return dict(origins_of(train, train.candidate(name), made))


def test_what_nobody_says_is_a_default_or_suits_the_method() -> None:
    found = origins({})
    assert found.pop("learning_rate") == "method"
    assert set(found.values()) == {"default"}
    assert set(origins({"epochs": 9}, "baseline").values()) == {"default"}, "a head has no epochs"


def test_a_value_of_the_file_comes_from_the_file_also_when_it_is_the_default() -> None:
    found = origins({"epochs": 4, "learning_rate": 1e-3, "method": {"kind": "lora", "rank": 8}})
    assert {key for key, origin in found.items() if origin == "loop file"} == {
        "epochs", "learning_rate", "method", "method.rank",
    }  # fmt: skip
    assert origins({"method": "lora"})["method.rank"] == "default"
    assert origins({"learning_rate": None})["learning_rate"] == "method"


def test_a_change_of_the_run_is_the_runs() -> None:
    found = origins({"epochs": 4}, train__epochs=2, train__method="lora", train__method__rank=4)
    assert (found["epochs"], found["method"], found["method.rank"]) == ("run", "run", "run")
    assert found["batch_size"] == "default"
    assert origins({}, train__method="lora")["method.rank"] == "default"
    assert origins({}, "baseline", train__method="lora")["method"] == "default", "that of the other one"


def test_each_listed_candidate_has_a_method_of_its_own() -> None:
    section = {"candidates": [{"name": "a", "method": "lora"}, {"name": "b", "method": "full"}]}
    changes = {"train.candidates.a.method.rank": 2}
    train = override(small_loop(train=section), changes).train
    first, second = (dict(origins_of(train, train.candidate(name), changes)) for name in "ab")
    assert (first["method"], first["method.rank"], second["method"]) == ("loop file", "run", "loop file")


def test_an_unknown_candidate_names_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="no such candidate") as raised:
        Train().candidate("best")
    assert raised.value.expected == "baseline, finetune"


@pytest.mark.parametrize("name", ["champion", "plan", "dataset", "evaluate"])
def test_a_candidate_is_not_called_as_a_task_beside_it(name: str) -> None:
    with pytest.raises(ValueError, match="uses itself"):
        Train.model_validate({"candidates": [{"name": name, "method": "head"}]})
