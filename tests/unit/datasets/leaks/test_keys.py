"""Rows of one key on both sides."""

from __future__ import annotations

import random

from tests.support.dealt import clean_rows, found, leaky_loop


def test_a_key_that_comes_again_with_another_text_is_found() -> None:
    rows = clean_rows(200, days=("2026-11-16",)) + clean_rows(200, seed=2, days=("2026-11-17",))
    leak = found(rows, leaky_loop())["keys"]
    assert leak.column == "id"
    assert "split.group: id keeps them apart" in leak.found
    assert leak.examples[0].said == f"id {leak.examples[0].row}"


def test_named_keys_are_looked_for_in_raw_and_a_group_keeps_them_apart() -> None:
    rows, draw = clean_rows(300), random.Random(1)
    raw = {"customer": [f"c{draw.randrange(60)}" if n % 3 else None for n in range(300)]}
    assert found(rows, leaky_loop(), raw) == {}  # nobody says that customers matter
    assert found(rows, leaky_loop(leaks={"keys": ["customer"]}), raw)["keys"].column == "customer"
    apart = leaky_loop(leaks={"keys": ["customer"]}, split={"group": "customer"})
    assert found(rows, apart, raw) == {}


def test_keys_of_their_own_are_no_leak() -> None:
    assert found(clean_rows(200), leaky_loop()) == {}
