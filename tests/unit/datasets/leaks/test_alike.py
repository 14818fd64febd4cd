"""Texts on both sides of the split."""

from __future__ import annotations

import random

from lakeloop.datasets.leaks.alike import TextsAlike
from tests.support.dealt import LABELS, clean_rows, dealt, found, leaky_loop

TEXT_ALONE = {"kind": "classification", "text": "text", "label": "label", "labels": list(LABELS)}


def test_texts_that_differ_in_a_word_over_the_split_are_found() -> None:
    rows, draw = clean_rows(400), random.Random(1)
    for number in range(0, 400, 2):
        words = rows[number]["text"].split()
        words[-1] = draw.choice(("today", "now"))
        rows[number + 1] |= {"text": " ".join(words), "text_key": f"{rows[number]['text_key']}{words[-1]}"}
    leak = found(rows, leaky_loop(TEXT_ALONE))["alike"]
    assert "share 80% of their pairs of words, or more" in leak.found
    one, other = leak.examples[0].said.split(" | ")
    assert one.split()[:3] == other.split()[:3]
    assert found(rows, leaky_loop(TEXT_ALONE, clean={"drop_similar": 0.8})) == {}


def test_a_few_are_no_leak() -> None:
    rows = clean_rows(400)
    for number in range(0, 8, 2):
        rows[number + 1]["text"] = rows[number]["text"] + " thanks"
    assert found(rows, leaky_loop(TEXT_ALONE)) == {}
    assert "alike" in found(rows, leaky_loop(TEXT_ALONE, leaks={"similar_share": 0.0}))


def test_short_texts_are_alike_by_chance() -> None:
    rows = clean_rows(300)
    for number, row in enumerate(rows):
        row |= {"text": f"many thanks {number % 40}", "text_key": str(number)}
    assert found(rows, leaky_loop(TEXT_ALONE)) == {}


def test_the_letters_of_a_text_of_the_training_in_a_test_row_are_found() -> None:
    looked = dealt(clean_rows(200), leaky_loop())
    place = looked.rows.column_names.index("text_key")
    same = looked.rows["text_key"].to_pylist()
    same[-1] = same[0]
    rows = looked.rows.set_column(place, "text_key", [same])
    leak = next(TextsAlike().look(type(looked)(looked.loop, rows, looked.sides, looked.raw)))
    assert (leak.rows, "letters and digits" in leak.found) == (1, True)
