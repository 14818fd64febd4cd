"""Marks and the digest by them: of values only, whatever the order, batches and encodings."""

from __future__ import annotations

import random

import pyarrow as pa
import pytest

from lakeloop.lake.marks import PREFIX, MarkedDigest, digest_of, marks_of
from tests.support.every_type import ROW, SCHEMA


def digest(table: pa.Table) -> str:
    return digest_of("raw", table.to_batches())


def rows(count: int) -> pa.Table:
    return pa.table(
        {"id": [f"k{n}" for n in range(count)], "n": list(range(count)), "kind": ["a", None] * (count // 2)}
    )


def test_the_digest_never_changes() -> None:
    table = pa.Table.from_pylist([ROW, {}], SCHEMA)
    assert digest(table) == "rows2:3ea1228ac9e949668f55ba8f725bdb1f3125f7e37cb9d563249d6c9664d70e9f"


def test_order_batches_and_encodings_do_not_count() -> None:
    table = rows(1000)
    places = list(range(1000))
    random.Random(3).shuffle(places)
    other = table.take(places).select(["kind", "n", "id"])
    encoded = table.set_column(2, "kind", table["kind"].combine_chunks().dictionary_encode())
    large = table.set_column(0, "id", table["id"].cast(pa.large_string()))
    assert {digest(other), digest(encoded), digest(large)} == {digest(table)}
    assert digest_of("raw", other.to_batches(max_chunksize=7)) == digest(table)


def test_null_is_as_a_column_that_is_not_there_and_no_empty_text() -> None:
    assert digest(pa.table({"a": ["x"], "b": pa.nulls(1, pa.string())})) == digest(pa.table({"a": ["x"]}))
    assert digest(pa.table({"a": ["x"], "b": [""]})) != digest(pa.table({"a": ["x"]}))


@pytest.mark.parametrize(
    "other",
    [
        {"a": ["x", "y"], "b": ["2", "1"]},
        {"a": ["1", "2"], "b": ["x", "y"]},
        {"a": ["x", "y", "y"], "b": ["1", "2", "2"]},
        {"a": ["x"], "b": ["1"]},
        {"a": ["x", "y"], "b": ["1", None]},
    ],
)
def test_values_that_move_come_again_or_go_are_seen(other: dict[str, list[str]]) -> None:
    assert digest(pa.table(other)) != digest(pa.table({"a": ["x", "y"], "b": ["1", "2"]}))


def test_marks_by_some_columns_and_by_others_add_up() -> None:
    (batch,) = rows(1000).to_batches()
    assert (
        marks_of(batch, ["id", "kind"]) + marks_of(batch, ["n"]) == marks_of(batch, ["n", "kind", "id"])
    ).all()


def test_no_two_of_many_rows_share_a_mark() -> None:
    (batch,) = rows(100_000).to_batches()
    for words in marks_of(batch, batch.schema.names):
        assert len(set(words.tolist())) == 100_000


def test_marks_that_are_known_make_the_same_digest() -> None:
    (batch,) = rows(10).to_batches()
    known = MarkedDigest()
    known.add(marks_of(batch, batch.schema.names))
    assert known.hexdigest() == digest_of("raw", [batch])


def test_a_digest_of_before_is_made_as_before() -> None:
    batches = rows(10).to_batches()
    before = digest_of("evaluations", batches)
    assert not before.startswith(PREFIX)
    assert digest_of("mart", batches).startswith(PREFIX)
    assert digest_of("mart", batches, like=before) == before


def test_nested_columns_are_refused() -> None:
    with pytest.raises(TypeError, match="list"):
        digest(pa.table({"a": [[1]]}))
