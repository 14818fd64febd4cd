"""The right answer in a column that the model reads."""

from __future__ import annotations

import random

import pytest

from tests.support.dealt import LABELS, clean_rows, found, leaky_loop, report


def test_a_column_that_copies_the_label_is_found_with_rows_that_show_it() -> None:
    rows = clean_rows(300)
    for row in rows:
        row["feature_plan"] = f"code-{LABELS.index(row['label'])}"
    leak = found(rows, leaky_loop())["copied"]
    assert leak.column == "plan"
    assert "(100.0 %) that have a value are told by it alone" in leak.found
    assert leak.examples[0].where.startswith("r")
    assert "drops/day.jsonl:" in leak.examples[0].where
    assert leak.examples[0].said.startswith("plan code-")


def test_a_number_whose_intervals_say_the_label_is_found() -> None:
    rows, draw = clean_rows(900), random.Random(3)
    for row in rows:
        row["feature_amount"] = 10 * LABELS.index(row["label"]) + draw.random()
    assert found(rows, leaky_loop())["copied"].column == "amount"


def test_a_copy_in_a_tenth_of_the_rows_is_found() -> None:
    rows, draw = clean_rows(2000), random.Random(3)
    for row in rows:
        row["feature_plan"] = row["label"] if draw.random() < 0.1 else None
    assert "copied" in found(rows, leaky_loop())


def test_that_a_value_is_there_can_say_the_label() -> None:
    rows = clean_rows(300)
    for row in rows:
        row["label"] = "refund" if row["label"] == "refund" else "account"
        row["feature_amount"] = 1.0 if row["label"] == "refund" else None
    assert "by whether they have a value" in found(rows, leaky_loop())["copied"].found


@pytest.mark.parametrize("share", [0.0, 0.7])
def test_a_column_that_only_helps_is_no_leak(share: float) -> None:
    rows, draw = clean_rows(900), random.Random(5)
    for row in rows:
        row["feature_plan"] = row["label"] if draw.random() < share else draw.choice(LABELS)
    assert found(rows, leaky_loop()) == {}


def test_a_column_that_is_ignored_is_passed_by() -> None:
    rows = clean_rows(300)
    for row in rows:
        row["feature_plan"] = row["label"]
    assert found(rows, leaky_loop(leaks={"ignore": ["plan"]})) == {}


def test_of_several_labels_each_is_looked_at() -> None:
    task = {"kind": "multi_label", "text": "text", "label": "label", "labels": list(LABELS)}
    task["categorical"] = ["plan"]
    rows, draw = clean_rows(600), random.Random(2)
    for row in rows:
        named = [label for label in LABELS if draw.random() < 0.4]
        row |= {"label": ",".join(named) or None, "feature_plan": "yes" if "delivery" in named else "no"}
    leak = found(rows, leaky_loop(task))["copied"]
    assert leak.found.startswith("delivery: ")


def test_a_number_that_another_says_is_found_and_one_that_it_only_follows_is_not() -> None:
    task = {"kind": "regression", "text": "text", "value": "cost", "numeric": ["amount"]}
    columns = {"id": "string", "text": "string", "cost": "number", "amount": "number"}
    source = {"kind": "files", "path": "drops/{partition}.jsonl", "key": "id", "columns": columns}
    loop, draw = leaky_loop(task, source=source), random.Random(4)
    rows = clean_rows(400)
    for row in rows:
        row["target"] = draw.uniform(1, 100)
        row["feature_amount"] = 1.2 * row["target"] + 3
    assert "of the variance" in found(rows, loop)["copied"].found
    for row in rows:
        row["feature_amount"] = row["target"] + draw.gauss(0, 15)
    assert found(rows, loop) == {}


def test_it_says_of_what_tasks_it_makes_no_sense() -> None:
    task = {"kind": "seq2seq", "text": "text", "answer": "label"}
    loop = leaky_loop(task, train={"base_model": "models/t5"})
    rows = [{**row, "answer": row["label"]} for row in clean_rows(100)]
    assert report(rows, loop).not_looked["copied"] == "answers are texts"
    tags = {"kind": "token_classification", "text": "text", "tags": "label", "labels": ["x"]}
    rows = [{**row, "tags": "O"} for row in rows]
    assert report(rows, leaky_loop(tags)).not_looked["copied"] == "answers are places in the text"
