from pathlib import Path

import pytest
from lakeloop_airflow.forms import PARTITION, loop_fields, overridden

from lakeloop.errors import ConfigurationError
from lakeloop.settings import Settings
from lakeloop.spec.load import load_named
from lakeloop.spec.models import LoopSpec

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def news() -> LoopSpec:
    return load_named("news", Settings(root=ROOT))


def test_a_field_is_typed_and_limited_as_in_the_loop_file(news: LoopSpec) -> None:
    fields = loop_fields(news, "train.method", "train.epochs", "train.learning_rate")
    assert fields["train.method"].schema["enum"] == ["top_layers", "lora", "full"]
    assert fields["train.epochs"].value == news.train.epochs
    assert (fields["train.epochs"].schema["type"], fields["train.epochs"].schema["minimum"]) == ("integer", 1)
    assert set(fields["train.learning_rate"].schema["type"]) == {"number", "null"}


def test_every_field_accepts_the_value_that_it_is_filled_with(news: LoopSpec) -> None:
    keys = [f"train.{name}" for name in type(news.train).model_fields]
    for param in (PARTITION, *loop_fields(news, *keys).values()):
        param.resolve()


def test_a_form_that_was_not_touched_changes_nothing(news: LoopSpec) -> None:
    untouched = {key: param.value for key, param in loop_fields(news, "train.epochs", "train.seed").items()}
    assert overridden(news, {"partition": None, "force": False, **untouched}) is news


def test_a_touched_field_overrides_the_loop_file(news: LoopSpec) -> None:
    changed = overridden(news, {"train.method": "lora", "train.epochs": news.train.epochs})
    assert changed.train.method == "lora"
    assert changed.train.model_copy(update={"method": news.train.method}) == news.train


def test_a_value_that_the_models_refuse_is_an_error(news: LoopSpec) -> None:
    with pytest.raises(ConfigurationError, match="epochs"):
        overridden(news, {"train.epochs": 0})
