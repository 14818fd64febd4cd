"""What a model reads of a row beyond its text."""

from __future__ import annotations

import pyarrow as pa
import pytest

from lakeloop.spec.tasks import Classification
from lakeloop.tasks.features import CategoricalFeature, NumericFeature
from lakeloop.tasks.reading import TEXT_ALONE, Instance, Reading, fit_reading, instances_of

PAID = "Paid in EUR"
TASK = Classification(
    text="question", text_pair="answer", label="label", labels=("a", "b"), numeric=("Paid in EUR",),
    categorical=("plan",),
)  # fmt: skip
ROWS = pa.table(
    {
        "text": ["why", "how"],
        "text_pair": ["so", "thus"],
        "feature_paid_in_eur": [1.0, 3.0],
        "feature_plan": ["pro", None],
    }
)
READS = Reading(
    text_pair=True,
    features=(
        NumericFeature(name="Paid in EUR", mean=2.0, deviation=1.0),
        CategoricalFeature(name="plan", values=("pro",)),
    ),
)


def test_the_columns_of_the_mart_are_named_by_their_roles() -> None:
    assert list(TASK.roles()) == ["text", "text_pair", "feature_paid_in_eur", "feature_plan", "label"]
    assert TASK.reads == ("text", "text_pair", "feature_paid_in_eur", "feature_plan")
    assert [role.column for role in TASK.roles().values()] == [
        "question", "answer", "Paid in EUR", "plan", "label",
    ]  # fmt: skip


def test_what_is_read_is_learnt_from_the_rows_of_the_mart() -> None:
    assert fit_reading(TASK, ROWS) == READS
    assert Reading.model_validate_json(READS.model_dump_json()) == READS


def test_rows_of_the_mart_are_instances_by_the_names_of_the_loop_file() -> None:
    assert instances_of(TASK, ROWS) == [
        Instance("why", "so", {"Paid in EUR": 1.0, "plan": "pro"}),
        Instance("how", "thus", {"Paid in EUR": 3.0, "plan": None}),
    ]
    numbers = READS.numbers(instances_of(TASK, ROWS))
    assert numbers is not None
    assert numbers.tolist() == [[-1, 0, 1, 0], [1, 0, 0, 1]]


def test_a_text_alone_has_no_numbers() -> None:
    assert TEXT_ALONE.numbers([Instance("why")]) is None
    assert TEXT_ALONE.text_alone
    assert TEXT_ALONE.in_words == "text alone"
    assert READS.in_words == "text and text_pair, and features: Paid in EUR, plan"


@pytest.mark.parametrize(
    ("reads", "row", "fault"),
    [
        (TEXT_ALONE, Instance("a", "b"), ("text_pair", "nothing: the model reads one text", "a text")),
        (TEXT_ALONE, Instance("a", None, {"x": 1}), ("features.x", "no features", "this name")),
        (READS, Instance("a"), ("text_pair", "a second text", "nothing")),
        (READS, Instance("a", "b", {"x": "y"}), ("features.x", "one of Paid in EUR, plan", "this name")),
        (READS, Instance("a", "b", {PAID: "5"}), (f"features.{PAID}", "a number, or null", "a text")),
    ],
)  # fmt: skip
def test_what_a_model_does_not_read_is_named(
    reads: Reading, row: Instance, fault: tuple[str, str, str]
) -> None:
    assert list(reads.faults(row)) == [fault]


def test_what_it_reads_is_no_fault() -> None:
    assert not list(READS.faults(Instance("a", "b", {"plan": 5, "Paid in EUR": None})))
    assert not list(TEXT_ALONE.faults(Instance("a")))
