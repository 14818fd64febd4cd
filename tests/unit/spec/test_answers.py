"""Which right answers rows have, in the words of the task, and which of those that it asks for none has."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from lakeloop.spec.tasks import Classification, MultiLabel, Regression, TokenClassification
from lakeloop.spec.tasks.base import TaskBase

ONE = Classification(text="text", label="label", labels=("a", "b", "c"))
SEVERAL = MultiLabel(kind="multi_label", text="text", label="label", labels=("a", "b", "c"), separator=";")
WORDS = TokenClassification(kind="token_classification", text="text", tags="tags", labels=("a", "b", "c"))


@pytest.mark.parametrize(
    ("task", "values"),
    [(ONE, ["a", "a", " b ", None]), (SEVERAL, ["a;b", "a", None]), (WORDS, ["B-a I-a O", "B-a B-b"])],
)
def test_an_answer_that_no_row_has_is_named_with_those_that_rows_have(task: TaskBase, values: Any) -> None:
    there = task.counted(values, normalise=True)
    assert there == Counter({"a": 2, "b": 1})
    assert task.absence(there).startswith("no row has c, rows have a 2, b 1: models are trained without it")
    assert task.absence(there + Counter({"c": 1})) == ""
    assert task.unknown(values, normalise=True) == Counter()


def test_an_answer_that_the_task_does_not_know_is_none_of_its_own() -> None:
    assert ONE.unknown(["a", "d", "d"], normalise=False) == Counter({"d": 2})
    assert ONE.absence(Counter({"d": 2})).startswith("no row has a, b, c, rows have none of them")


def test_numbers_are_no_answers_that_could_be_absent() -> None:
    numbers = Regression(kind="regression", text="text", value="points")
    assert numbers.absence(numbers.counted([1.0], normalise=False)) == ""
