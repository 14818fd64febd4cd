"""Labels that no training row has: what a network gives, and what its validation rows are."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from lakeloop.spec.tasks import Classification, MultiLabel, Regression, TokenClassification
from lakeloop.spec.tasks.base import TaskBase
from lakeloop.tasks.base import OutputContract
from lakeloop.tasks.registry import task_class, task_of
from lakeloop.tasks.taught import known_rows, taught

LABELS = ("a", "new-b", "c")
ONE = Classification(text="text", label="label", labels=LABELS)
SEVERAL = MultiLabel(kind="multi_label", text="text", label="label", labels=LABELS, separator=";")
WORDS = TokenClassification(kind="token_classification", text="text", tags="tags", labels=LABELS)


def contract_of(section: TaskBase, values: list[Any]) -> tuple[OutputContract, pa.Table]:
    task = task_of(section)
    rows = pa.table({"text": ["one two"] * len(values), section.target: values})
    profile = task.profile(task.truths(rows))
    return taught(task.contract(profile), profile, section), rows


@pytest.mark.parametrize(
    ("section", "values", "names"),
    [
        (ONE, ["a", "c", "a"], ("a", "c")),
        (SEVERAL, ["a;c", "c", None], ("a", "c")),
        (WORDS, ["B-a I-a", "O B-c"], ("O", "B-a", "I-a", "B-c", "I-c")),
    ],
)
def test_a_label_without_rows_is_no_output_of_the_network_and_the_server_says_so(
    section: TaskBase, values: list[Any], names: tuple[str, ...]
) -> None:
    contract, _ = contract_of(section, values)
    assert (contract.names, contract.width, contract.unlearnt) == (names, len(names), ("new-b",))
    facts = task_class(contract.kind).facts(contract)
    assert facts == {"labels": ["a", "c"], "unlearnt": ["new-b"]}
    assert OutputContract.model_validate_json(contract.model_dump_json()) == contract


@pytest.mark.parametrize(
    ("section", "learnt", "values", "left"),
    [
        (ONE, ["a", "c"], ["a", "new-b", "c"], ["a", "c"]),
        (SEVERAL, ["a", "c"], ["new-b;a", "new-b", None, "c"], ["a", None, None, "c"]),
        (WORDS, ["B-a B-c"], ["B-new-b I-new-b", "B-a O"], ["O O", "B-a O"]),
    ],
)
def test_validation_rows_lose_what_no_network_of_the_training_can_say(
    section: TaskBase, learnt: list[Any], values: list[Any], left: list[Any]
) -> None:
    contract, _ = contract_of(section, learnt)
    rows = pa.table({"text": ["one two"] * len(values), section.target: values})
    assert known_rows(rows, contract, section)[section.target].to_pylist() == left


def test_nothing_changes_where_all_labels_have_rows_and_for_tasks_without_labels() -> None:
    contract, rows = contract_of(ONE, ["a", "new-b", "c"])
    assert contract == task_of(ONE).contract(task_of(ONE).profile([]))
    assert "unlearnt" not in contract.model_dump()
    assert known_rows(rows, contract, ONE) is rows
    numbers = Regression(kind="regression", text="text", value="stars")
    task = task_of(numbers)
    profile = task.profile([1.0, 2.0])
    assert taught(task.contract(profile), profile, numbers) == task.contract(profile)
