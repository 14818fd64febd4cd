"""The right answer in the words of the text."""

from __future__ import annotations

import random

from tests.support.dealt import LABELS, clean_rows, found, leaky_loop, report


def test_a_label_at_the_head_of_its_text_is_found() -> None:
    rows = clean_rows(200)
    for row in rows:
        row["text"] = f"{row['label'].upper()} - {row['text']}"
    leak = found(rows, leaky_loop())["written"]
    assert leak.rows == 200
    label, text = leak.examples[0].said.split(": ", 1)
    assert text.startswith(label.upper())


def test_labels_behind_a_mark_in_some_texts_are_found() -> None:
    rows, draw = clean_rows(600), random.Random(8)
    for row in rows:
        if draw.random() < 0.1:
            row["text"] += f" label: {row['label']}"
    assert "behind a mark" in found(rows, leaky_loop())["written"].found


def test_words_of_the_field_are_no_leak() -> None:
    """Texts of all labels speak of refunds and deliveries, those of the label a little more often."""
    rows, draw = clean_rows(900), random.Random(6)
    for row in rows:
        if draw.random() < 0.4:
            row["text"] += f" {row['label'] if draw.random() < 0.6 else draw.choice(LABELS)} please"
    assert found(rows, leaky_loop()) == {}


def test_a_frequent_label_in_every_text_is_no_leak() -> None:
    rows, draw = clean_rows(400), random.Random(6)
    for row in rows:
        row["label"] = "refund" if draw.random() < 0.95 else "account"
        row["text"] += " refund desk"
    assert found(rows, leaky_loop()) == {}


def test_an_answer_that_stands_in_its_question_is_found() -> None:
    loop = leaky_loop(
        {"kind": "seq2seq", "text": "text", "answer": "label"}, train={"base_model": "models/t5"}
    )
    rows = [{**row, "answer": f"the answer of number {n}"} for n, row in enumerate(clean_rows(60))]
    assert found(rows, loop) == {}
    for row in rows:
        row["text"] += f" {row['answer']}"
    assert "word for word" in found(rows, loop)["written"].found


def test_labels_without_words_are_not_looked_for() -> None:
    task = {"kind": "classification", "text": "text", "label": "amount", "labels": [0, 1]}
    rows = [{**row, "label": str(n % 2)} for n, row in enumerate(clean_rows(60))]
    assert "too short" in report(rows, leaky_loop(task)).not_looked["written"]
