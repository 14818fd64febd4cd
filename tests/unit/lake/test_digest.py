"""The content digest sees values and nothing else."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakeloop.lake import digest as digest_module
from lakeloop.lake.digest import ADDED, content_digest, count_unknown, row_hashes
from tests.support.every_type import ROW, SCHEMA

ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "s": st.none() | st.text(max_size=3),
            "n": st.none() | st.integers(-(2**63), 2**63 - 1),
            "x": st.none() | st.floats(allow_nan=False),
            "b": st.none() | st.booleans(),
            "t": st.none()
            | st.datetimes(min_value=datetime(1900, 1, 1)).map(lambda t: t.replace(tzinfo=UTC)),  # noqa: DTZ001
            "d": st.none() | st.dates(),
        }
    ),
    max_size=6,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the machine may be busy
@given(ROWS, st.randoms(use_true_random=False))
def test_order_and_layout_change_nothing(rows: list[dict[str, Any]], random: Any) -> None:
    table = pa.Table.from_pylist(rows, SCHEMA)
    shuffled = random.sample(rows, len(rows))
    columns = random.sample(SCHEMA.names, len(SCHEMA.names))
    other = pa.concat_tables([pa.Table.from_pylist([row], SCHEMA) for row in shuffled] or [table]).select(
        columns
    )
    assert content_digest(other) == content_digest(table)
    assert content_digest(iter(other.to_batches())) == content_digest(table)
    encoded = other.set_column(columns.index("s"), "s", other["s"].dictionary_encode())
    assert content_digest(encoded) == content_digest(table)
    large = other.set_column(columns.index("s"), "s", other["s"].cast(pa.large_string()))
    assert content_digest(large) == content_digest(table)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the machine may be busy
@given(ROWS, ROWS)
def test_other_rows_have_another_digest(one: list[dict[str, Any]], two: list[dict[str, Any]]) -> None:
    same = sorted(map(repr, one)) == sorted(map(repr, two))
    digests = [content_digest(pa.Table.from_pylist(rows, SCHEMA)) for rows in (one, two)]
    assert (digests[0] == digests[1]) == same


def test_a_doubled_row_is_seen() -> None:
    row = {"s": "a"}
    assert content_digest(pa.Table.from_pylist([row], SCHEMA)) != content_digest(
        pa.Table.from_pylist([row, row], SCHEMA)
    )


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ({"a": ["ab"], "b": ["c"]}, {"a": ["a"], "b": ["bc"]}),
        ({"a": [None], "b": ["-"]}, {"a": ["-"], "b": [None]}),
        ({"a": [""], "b": ["x"]}, {"a": [None], "b": ["x"]}),
        ({"a": ["1:x1:b=1:y"], "b": [""]}, {"a": ["1:x"], "b": ["y"]}),
        ({"a": ["x"]}, {"b": ["x"]}),
    ],
)
def test_values_are_not_mistaken_for_borders(left: dict[str, list[Any]], right: dict[str, list[Any]]) -> None:
    def as_table(columns: dict[str, list[Any]]) -> pa.Table:
        return pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})

    assert content_digest(as_table(left)) != content_digest(as_table(right))


def test_the_digest_of_these_rows_stays_as_it_is() -> None:
    """A changed digest would make every published partition look changed."""
    table = pa.Table.from_pylist([ROW, {}], SCHEMA)
    assert content_digest(table) == "69c3dd2610d2ab342db9b0005321d6c66cc7b1c26e1f7c0ba3972e6326e682da"


@pytest.mark.parametrize("rows", [0, 1, 999, 1000, 5001])
def test_hashes_that_wait_in_a_file_come_back_in_the_same_order(
    monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr(digest_module, "_RUN_ROWS", 1000)
    monkeypatch.setattr(digest_module, "_BATCH_ROWS", 300)
    table = pa.table({"n": [number % 4000 for number in range(rows)]})
    hashes = [value for batch in table.to_batches() for value in row_hashes(batch)]
    assert content_digest(table) == hashlib.sha256(b"".join(sorted(hashes))).hexdigest()


def test_hashes_are_of_the_columns_asked_for() -> None:
    batch = pa.RecordBatch.from_pylist([{"s": "a", "n": 1}, {"s": "a", "n": 2}], SCHEMA)
    assert len(set(row_hashes(batch, ["s"]))) == 1
    assert len(set(row_hashes(batch))) == 2


def test_nested_columns_are_refused() -> None:
    with pytest.raises(TypeError, match="list"):
        content_digest(pa.table({"a": [[1]]}))


def test_a_null_of_a_column_that_was_added_later_says_nothing() -> None:
    added = pa.field("b", pa.string(), metadata={ADDED: b"1"})
    with_it = pa.schema([("a", pa.string()), added])
    assert content_digest(pa.table({"a": ["x"], "b": [None]}, with_it)) == content_digest(
        pa.table({"a": ["x"]})
    )
    assert content_digest(pa.table({"a": ["x"], "b": [""]}, with_it)) != content_digest(
        pa.table({"a": ["x"]})
    )


def test_rows_that_no_other_row_equals_are_counted_whatever_their_order_and_batches() -> None:
    known = pa.table({"id": [str(n) for n in range(1000)], "text": ["words"] * 1000, "line": range(1000)})
    rows = known.to_pylist()
    changed = [{**row, "text": "other words"} for row in rows[:10]] + [
        {**row, "line": 0} for row in rows[10:20]
    ]
    now = pa.Table.from_pylist([*rows[20:], *changed, {"id": "1000", "text": None, "line": 0}])
    for size in (7, 1000):
        batches, before = now.to_batches(max_chunksize=size), known.to_batches(max_chunksize=size)
        assert count_unknown(batches, before, ["id", "text"]) == 11
    assert count_unknown(now.to_batches(), [], ["id", "text"]) == 1001
    assert count_unknown([], known.to_batches(), ["id", "text"]) == 0
