"""Values of a lake as another type: all of them, or those that do not fit by name."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lakeloop.lake.tables import ARROW_TYPES, TIMESTAMP
from lakeloop.sources.recast import carried, one, recast, try_all, with_types
from lakeloop.spec.columns import Column, ColumnType, Moments

ISO = Moments()
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 20, tzinfo=UTC)
BIG = 2**53 + 1


@pytest.mark.parametrize(
    ("before", "values", "kind", "after"),
    [
        (pa.int64(), [3, None], "number", [3.0, None]),
        (pa.int64(), [-3], "string", ["-3"]),
        (pa.float64(), [3.0, 1e15], "integer", [3, 10**15]),
        (pa.float64(), [3.0, 2.5, 1e300], "string", ["3", "2.5", "1e+300"]),
        (pa.bool_(), [True, False], "string", ["true", "false"]),
        (TIMESTAMP, [NOON], "string", ["2026-11-20T12:00:00Z"]),
        (TIMESTAMP, [MIDNIGHT], "date", [date(2026, 11, 20)]),
        (pa.date32(), [date(2026, 11, 20)], "timestamp", [MIDNIGHT]),
        (pa.date32(), [date(2026, 11, 20)], "string", ["2026-11-20"]),
        (pa.string(), ["2026-11-20T12:00Z", None], "timestamp", [NOON, None]),
        (pa.string(), ["7", "1.0"], "integer", [7, 1]),
        (pa.string(), ["true"], "boolean", [True]),
    ],
)
def test_values_that_fit_are_the_same_in_another_type(
    before: pa.DataType, values: list[Any], kind: ColumnType, after: list[Any]
) -> None:
    column, misfits = recast(pa.array(values, before), kind, ISO)
    assert column.type == ARROW_TYPES[kind]
    assert column.to_pylist() == after
    assert misfits.true_count == 0


@pytest.mark.parametrize(
    ("before", "values", "kind", "bad"),
    [
        (pa.float64(), [3.0, 3.5, 1e300], "integer", [False, True, True]),
        (pa.int64(), [1, BIG], "number", [False, True]),
        (pa.int64(), [1], "boolean", [True]),
        (pa.int64(), [1], "timestamp", [True]),
        (pa.bool_(), [True, None], "number", [True, False]),
        (TIMESTAMP, [NOON, MIDNIGHT], "date", [True, False]),
        (pa.string(), ["7", "x", "", None], "integer", [False, True, True, False]),
        (pa.string(), ["585", "00585", "0", "-07", "100"], "integer", [False, True, False, True, False]),
        (pa.string(), ["0.5", "00.5", None], "number", [False, True, False]),
    ],
)
def test_values_that_would_lose_something_are_named(
    before: pa.DataType, values: list[Any], kind: ColumnType, bad: list[bool]
) -> None:
    column, misfits = recast(pa.array(values, before), kind, ISO)
    assert misfits.to_pylist() == bad
    assert column.is_null().to_pylist() == [
        wrong or value is None for wrong, value in zip(bad, values, strict=True)
    ]


def test_seconds_since_1970_are_moments_where_the_column_says_so() -> None:
    column, misfits = recast(pa.array([int(NOON.timestamp())]), "timestamp", Moments(unit=1_000_000))
    assert (column.to_pylist(), misfits.true_count) == ([NOON], 0)


@given(
    st.lists(st.none() | st.integers(-(2**63), 2**63 - 1)) | st.lists(st.none() | st.floats(allow_nan=False)),
    st.sampled_from(["integer", "number", "string"]),
)
def test_whole_columns_are_what_one_value_at_a_time_is(values: list[Any], kind: ColumnType) -> None:
    whole = all(value is None or isinstance(value, int) for value in values)
    before = pa.int64() if whole else pa.float64()
    assume(ARROW_TYPES[kind] != before)
    column, misfits = recast(pa.array(values, before), kind, ISO)
    for value, found, bad in zip(values, column.to_pylist(), misfits.to_pylist(), strict=True):
        if value is None:
            assert (found, bad) == (None, False)
            continue
        try:
            expected = one(value, kind, ISO)
        except (ValueError, OverflowError):
            assert (found, bad) == (None, True)
        else:
            assert (found, bad) == (expected, False)


def test_rows_keep_all_but_the_types_and_misfits_have_their_place() -> None:
    place = {"source_file": ["a.csv"] * 3, "source_line": [2, 3, 4], "partition": ["2026-11-20"] * 3}
    table = pa.table({"n": ["1", "x", None], "row_hash": ["h1", "h2", "h3"], **place})
    column = Column("n", "n", "n", "integer")
    tried = try_all(table.to_reader(), column, shown=5)
    assert (tried.before, tried.values, tried.misfits) == ("string", 2, 1)
    assert [(bad.file, bad.line, bad.value) for bad in tried.first] == [("a.csv", 3, "x")]
    good = table.slice(0, 1)
    schema = with_types(good.schema, {"n": column})
    rows = pa.Table.from_batches(carried(good.to_batches(), schema, {"n": column}), schema)
    assert rows.to_pylist() == [{**good.to_pylist()[0], "n": 1}]
