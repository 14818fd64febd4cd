"""Which side a row falls on, and that it stays there when days come late or again."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from lakeloop.datasets.assemble import SPLITS, Assembled, assemble
from lakeloop.datasets.dealing import GROUP
from lakeloop.spec.split import Split
from tests.support.small_loop import MART

FIRST = date(2026, 11, 1)
TIME = Split(by="time", test_days=3, validation=0.2)
GROUPED = Split(group="customer")
BOTH = Split(by="time", test_days=3, group="customer")


def day(number: int) -> str:
    return (FIRST + timedelta(days=number)).isoformat()


Row = tuple[int, str, str]
"""Day, text, group."""
rows_of = st.lists(
    st.tuples(st.integers(0, 9), st.sampled_from([f"t{n}" for n in range(25)]), st.sampled_from("abcdefgh")),
    min_size=1,
    max_size=60,
)


def table_of(rows: list[Row]) -> pa.Table:
    usual = {"label": "sports", "source_file": "a day"}
    content = [
        {
            **usual,
            "row_id": f"{at}-{n}",
            "text": text,
            "text_key": text,
            "partition": day(at),
            "source_line": n,
        }
        for n, (at, text, _) in enumerate(rows)
    ]
    return pa.Table.from_pylist(content, MART)


def dealt(rows: list[Row], split: Split) -> Assembled:
    groups = pa.array([group for *_, group in rows], pa.large_string())
    return assemble(table_of(rows).append_column(GROUP, groups), split, ("text", "label"))


def column(found: Assembled, name: str, *sides: str) -> set[str]:
    tables = {**found.tables} if name != GROUP else {**found.aside}
    return {value for side in sides for value in tables[side][name].to_pylist()}  # type: ignore[index]


def test_by_time_the_newest_days_are_the_test_and_no_others() -> None:
    rows = [(at, f"text {at} {n}", "a") for at in range(10) for n in range(40)]
    found = dealt(rows, TIME)
    assert column(found, "partition", "test") == {day(7), day(8), day(9)}
    assert max(column(found, "partition", "train", "validation")) == day(6)
    assert TIME.first_test_day(map(day, range(10))) == day(7)
    share = found.tables["validation"].num_rows / 280
    assert 0.1 < share < 0.3


def test_days_are_those_of_the_calendar_also_where_some_are_missing() -> None:
    rows = [(at, f"text {at} {n}", "a") for at in (0, 1, 6, 9) for n in range(20)]
    assert column(dealt(rows, TIME), "partition", "test") == {day(9)}


@given(rows=rows_of, late=rows_of)
@settings(max_examples=30, deadline=None)
def test_by_time_a_text_that_tested_tests_when_days_come_late_or_again(
    rows: list[Row], late: list[Row]
) -> None:
    """No day that is newer comes: late rows are of the days up to the newest there is."""
    newest = max(at for at, *_ in rows)
    both = [*rows, *((min(at, newest), text, group) for at, text, group in late)]
    for split in (TIME, BOTH):
        before, after = dealt(rows, split), dealt(both, split)
        tested = column(before, "text_key", "test")
        assert tested <= column(after, "text_key", "test")
        assert not tested & column(after, "text_key", "train", "validation")


@given(rows=rows_of, newer=rows_of)
@settings(max_examples=30, deadline=None)
def test_by_time_no_row_goes_from_training_to_test_when_newer_days_come(
    rows: list[Row], newer: list[Row]
) -> None:
    newest = max(at for at, *_ in rows)
    before = dealt(rows, TIME)
    after = dealt([*rows, *((newest + 1 + at, text, group) for at, text, group in newer)], TIME)
    assert not column(before, "row_id", "train", "validation") & column(after, "row_id", "test")


@given(rows=rows_of, later=rows_of)
@settings(max_examples=30, deadline=None)
def test_a_group_keeps_its_side_whatever_rows_come(rows: list[Row], later: list[Row]) -> None:
    before, after = dealt(rows, GROUPED), dealt([*rows, *later], GROUPED)
    for side in SPLITS:
        others = [name for name in SPLITS if name != side]
        assert not column(before, GROUP, side) & column(after, GROUP, *others)


@given(rows=rows_of)
@settings(max_examples=30, deadline=None)
def test_no_text_and_no_group_is_on_two_sides_and_every_row_is_accounted_for(rows: list[Row]) -> None:
    for split in (TIME, GROUPED, BOTH):
        found = dealt(rows, split)
        assert found.rows + found.left_out == len(rows)
        for name in ("text_key", *([GROUP] if split.group else [])):
            sides = [column(found, name, side) for side in SPLITS]
            assert not sides[0] & sides[2]
            assert not sides[1] & sides[2]
            assert not sides[0] & sides[1]


def test_a_row_without_a_group_goes_by_its_text() -> None:
    rows = [(0, f"text {n}", "a") for n in range(200)]
    table = table_of(rows)
    none = table.append_column(GROUP, pa.nulls(200, pa.large_string()))
    by_text = assemble(table, Split(), ("text", "label"))
    assert all(
        np.array_equal(
            assemble(none, GROUPED, ("text", "label")).tables[side]["row_id"], by_text.tables[side]["row_id"]
        )
        for side in SPLITS
    )
