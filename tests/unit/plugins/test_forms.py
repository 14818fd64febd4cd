from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.definitions.param import ParamsDict
from lakeloop_airflow.forms import changed, run_fields

from lakeloop.examples.registry import EXAMPLES, loop_text
from lakeloop.settings import Settings
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.methods import METHODS, kind_of
from lakeloop.spec.reading.load import load_named
from lakeloop.spec.reading.override import overridable_keys, override
from lakeloop.spec.train import Train
from lakeloop.stages.catalogue import DAGS
from tests.support.small_loop import small_loop

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def news() -> LoopSpec:
    return load_named("news", Settings(root=ROOT))


def test_a_field_is_typed_and_limited_as_in_the_loop_file(news: LoopSpec) -> None:
    fields = run_fields(news, "train")
    assert {"head", "top_layers", "lora", "adapter"} <= set(fields["train.method"].schema["enum"])
    assert fields["train.epochs"].value == news.train.epochs
    assert (fields["train.epochs"].schema["type"], fields["train.epochs"].schema["minimum"]) == ("integer", 1)
    assert set(fields["train.learning_rate"].schema["type"]) == {"number", "null"}
    assert fields["train.method.layers"].value == 2
    assert fields["train.method.rank"].value is None, "top_layers has no rank"


@pytest.fixture(scope="module")
def forms() -> dict[str, ParamsDict]:
    """The form of each DAG of `news`, as the DAG files make it."""
    return {dag_id: dag.params for dag_id, dag in DagBag(ROOT / "dags").dags.items()}


def test_every_key_that_a_run_may_set_is_on_one_form_and_no_other_key_is(
    news: LoopSpec, forms: dict[str, ParamsDict]
) -> None:
    keys = [key for form in forms.values() for key in form if "." in key]
    assert sorted(keys) == sorted(overridable_keys(news))
    assert "evaluate.metric" in forms["news.train"]


def test_every_field_accepts_the_value_that_it_is_filled_with(forms: dict[str, ParamsDict]) -> None:
    assert len(forms) == len(DAGS)
    for form in forms.values():
        form.validate()


def test_a_form_that_was_not_touched_changes_nothing(news: LoopSpec) -> None:
    untouched = {key: param.value for key, param in run_fields(news, "train").items()}
    assert changed(news, {"partition": None, "force": False, **untouched}) == {}


def test_a_touched_field_overrides_the_loop_file(news: LoopSpec) -> None:
    changes = changed(news, {"train.method": "lora", "train.epochs": news.train.epochs})
    assert changes == {"train.method": "lora"}
    assert override(news, changes).train.method.kind == "lora"


def test_what_does_nothing_unless_asked_for_has_a_part_of_the_form_of_its_own(news: LoopSpec) -> None:
    fields = run_fields(news, "train")
    assert fields["train.epochs"].schema["section"] == "Train"
    assert fields["train.label_smoothing"].schema["section"] == "Train: beside the method"
    assert fields["train.adversarial"].schema["section"] == "Train: beside the method"


def _refused(loop: LoopSpec) -> list[str]:
    """The fields whose first value the form would refuse; one alone takes the DAGs of all loops down."""
    fields = {**run_fields(loop, "train"), **run_fields(loop, "evaluate")}
    return [key for key, param in fields.items() if param.resolve(suppress_exception=True) != param.value]


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_form_of_an_example_accepts_what_it_is_filled_with(example: str, tmp_path: Path) -> None:
    (tmp_path / "loops" / example).mkdir(parents=True)
    (tmp_path / "loops" / example / "loop.yaml").write_text(loop_text(example, example))
    assert _refused(load_named(example, Settings(root=tmp_path))) == []


@pytest.mark.parametrize("method", [kind_of(each) for each in METHODS])
def test_the_form_of_each_method_accepts_what_it_is_filled_with(news: LoopSpec, method: str) -> None:
    assert _refused(news.model_copy(update={"train": Train.model_validate({"method": method})})) == []


def test_a_key_that_several_methods_have_offers_what_any_of_them_allows(news: LoopSpec) -> None:
    field = run_fields(news, "train")["train.method.features"]
    assert set(field.schema["enum"]) == {"words", "embeddings", "characters", None}
    assert set(field.schema["type"]) == {"string", "null"}


def test_a_field_says_of_each_method_what_the_key_means_where_they_differ(news: LoopSpec) -> None:
    fields = run_fields(news, "train")
    of_each = fields["train.method.features"].description
    assert of_each is not None
    zero_shot, classical = of_each.split("\nclassical: ")
    assert zero_shot.startswith("zero_shot: What is compared")
    assert classical.startswith("What the model reads")
    assert fields["train.method.rank"].description == "adalora: Of an adapter in the end, on average."
    layers = fields["train.method.layers"].description
    assert layers is not None
    assert layers.startswith("How many, counted"), "one method alone has it"
    candidates = [{"name": "words", "method": "classical"}, {"name": "nearest", "method": "zero_shot"}]
    listed = run_fields(small_loop(train={"candidates": candidates}), "train")
    assert listed["train.candidates.words.method.features"].description == of_each
