"""Dealing rows into splits: stable, free of leaks, and every row accounted for."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeloop.datasets.assemble import Assembled, assemble
from lakeloop.datasets.dealing import SPLITS, deal
from lakeloop.spec.clean import TextLength
from lakeloop.spec.split import Split
from tests.support.small_loop import MART, mart_rows

SPLIT = Split(validation=0.1, test=0.2)
TASK = ("text", "label")
"""Columns of the task."""


def mart(*days: list[dict[str, object]]) -> pa.Table:
    return pa.Table.from_pylist([row for day in days for row in day], MART)


def ids(assembled: Assembled) -> dict[str, set[str]]:
    return {name: set(assembled.tables[name]["row_id"].to_pylist()) for name in SPLITS}


def test_shares_are_those_of_the_loop_file() -> None:
    assembled = assemble(mart(mart_rows("2026-11-16", 5000)), SPLIT, TASK)
    shares = {name: table.num_rows / 5000 for name, table in assembled.tables.items()}
    assert shares == pytest.approx({"train": 0.7, "validation": 0.1, "test": 0.2}, abs=0.02)
    assert tuple(assembled.tables["train"].column_names) == ("row_id", *TASK, "text_key", "partition")


def test_yesterdays_rows_keep_their_split_when_a_day_comes() -> None:
    first = mart_rows("2026-11-16", 300)
    before = ids(assemble(mart(first), SPLIT, TASK))
    after = ids(assemble(mart(first, mart_rows("2026-11-17", 300)), SPLIT, TASK))
    assert all(before[name] <= after[name] for name in SPLITS)


def test_another_salt_deals_anew() -> None:
    rows = mart(mart_rows("2026-11-16", 300))
    assert ids(assemble(rows, SPLIT, TASK)) != ids(assemble(rows, Split(salt="again"), TASK))


def test_of_equal_texts_the_earliest_day_is_kept() -> None:
    late, early = mart_rows("2026-11-17", 3), mart_rows("2026-11-16", 3)
    late[1] |= {"text": early[2]["text"].upper() + "!", "text_key": early[2]["text_key"]}
    assembled = assemble(mart(late, early), SPLIT, TASK)
    kept = set().union(*ids(assembled).values())
    assert kept == {f"2026-11-16-{n}" for n in range(3)} | {"2026-11-17-0", "2026-11-17-2"}
    assert assembled.duplicates == 1


def test_texts_that_only_share_their_key_both_stay_on_one_side() -> None:
    rows = mart_rows("2026-11-16", 2)
    for row, text in zip(rows, ("I write C", "I write C++"), strict=True):
        row |= {"text": text, "text_key": "writec"}
    assembled = assemble(mart(rows), SPLIT, TASK)
    assert assembled.duplicates == 0
    assert sorted(table.num_rows for table in assembled.tables.values()) == [0, 0, 2]


def test_texts_without_letters_are_compared_too() -> None:
    rows = mart_rows("2026-11-16", 4)
    for row, text in zip(rows, ("👍", "👎", "👍!", "..."), strict=True):
        row |= {"text": text, "text_key": f"row:{row['row_id']}"}
    assembled = assemble(mart(rows), SPLIT, TASK)
    assert set().union(*ids(assembled).values()) == {f"2026-11-16-{n}" for n in (0, 1, 3)}


keys = st.lists(st.text(alphabet="abc", min_size=1, max_size=3), min_size=1, max_size=60)


@given(keys=keys, seed=st.randoms(use_true_random=False))
def test_no_text_is_in_two_splits_no_row_is_lost_and_order_does_not_matter(
    keys: list[str], seed: st.DataObject
) -> None:
    rows = mart_rows("2026-11-16", len(keys))
    for row, key in zip(rows, keys, strict=True):
        row |= {"text": key, "text_key": key}
    assembled = assemble(mart(rows), SPLIT, TASK)
    texts = [key for table in assembled.tables.values() for key in table["text_key"].to_pylist()]
    assert sorted(texts) == sorted(set(keys))
    assert assembled.rows + assembled.duplicates == len(keys)
    seed.shuffle(rows)  # type: ignore[attr-defined]
    again = assemble(mart(rows), SPLIT, TASK)
    assert all(again.tables[name].equals(assembled.tables[name]) for name in SPLITS)


@given(st.text(), st.floats(0.01, 0.49), st.floats(0.01, 0.49))
def test_a_larger_test_share_takes_rows_but_gives_none_back(key: str, one: float, other: float) -> None:
    small, large = sorted((one, other))
    if deal(key, Split(test=small)) == "test":
        assert deal(key, Split(test=large)) == "test"


def test_rows_of_one_text_that_differ_in_what_else_is_read_are_no_repeats() -> None:
    rows = mart_rows("2026-11-16", 3)
    for row in rows:
        row |= {"text": "a new car", "text_key": "anewcar"}
    table = mart(rows).append_column("feature_amount", pa.array([100.0, 200.0, 100.0]))
    columns = ("text", "feature_amount", "label")
    assembled = assemble(table, SPLIT, columns, reads=("text", "feature_amount"))
    assert assembled.duplicates == 1
    assert assemble(table, SPLIT, columns).duplicates == 2


def test_a_text_that_is_much_like_one_of_a_day_before_is_left_out_where_that_was_asked_for() -> None:
    early, late = mart_rows("2026-11-16", 30), mart_rows("2026-11-17", 30)
    early[4]["text"] = "the card that you sent me last week has not arrived at my new home yet"
    late[7]["text"] = "the card that you sent me last month has not arrived at my new home yet"
    rows = mart(late, early)
    assert assemble(rows, SPLIT, TASK).similar == 0
    assembled = assemble(rows, SPLIT, TASK, similar=0.7)
    assert assembled.similar >= 1
    kept = set().union(*ids(assembled).values())
    assert early[4]["row_id"] in kept
    assert late[7]["row_id"] not in kept
    assert assembled.rows + assembled.duplicates + assembled.similar == 60


def test_texts_of_unusual_length_are_no_training_rows_where_that_was_asked_for() -> None:
    rows = mart_rows("2026-11-16", 400)
    for number in range(0, 400, 20):
        rows[number]["text"] = f"story {number} " + "and so on " * 500
    plain = assemble(mart(rows), SPLIT, TASK)
    assembled = assemble(mart(rows), SPLIT, TASK, length=TextLength(outliers=4, unit="words"))
    long = {
        name: sum(len(text) > 1000 for text in table["text"].to_pylist())
        for name, table in assembled.tables.items()
    }
    assert plain.unusual == 0
    assert assembled.unusual == 20 - long["validation"] - long["test"] > 0
    assert long["train"] == 0
    assert assembled.rows == plain.rows - assembled.unusual
