"""Of equal rows the first is accepted, whatever the filter says and wherever the rows lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakeloop.lake.marks import digest_of
from lakeloop.sources import accepted as accepted_module
from lakeloop.sources import repeats as repeats_module
from lakeloop.sources.accepted import Accepted
from lakeloop.sources.base import row_schema
from lakeloop.stages.frame.session import StageContext
from tests.support.small_loop import small_context, small_loop
from tests.support.taken import InMemory

DAY = "2026-11-16"
LOOP = small_loop()
Pairs = list[tuple[str, str | None]]
"""Key and text of rows."""
PAIR = st.tuples(st.sampled_from("abc"), st.sampled_from(["x", "y", None]))


def batch(pairs: Pairs, first: int) -> pa.RecordBatch:
    rows = [
        {"id": key, "text": text, "label": "tech", "source_line": line}
        for line, (key, text) in enumerate(pairs, first)
    ]
    return pa.RecordBatch.from_pylist(rows, row_schema(LOOP.source))


def accept(batches: list[Pairs], folder: Path) -> tuple[pa.Table, Accepted]:
    raw = InMemory()
    with Accepted(raw, LOOP, DAY, folder) as accepted:
        line = 1
        for number, pairs in enumerate(batches):
            accepted.add(batch(pairs, line), f"file {number % 2}")
            line += len(pairs)
        accepted.settle()
        return raw.table(LOOP), accepted


@pytest.mark.parametrize("filter_bits", [1, 3, 22], ids=["always wrong", "often wrong", "mostly right"])
def test_the_first_of_equal_rows_is_accepted_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, filter_bits: int
) -> None:
    monkeypatch.setattr(repeats_module, "_FILTER_BITS", filter_bits)

    @settings(deadline=None, max_examples=40)
    @given(
        st.lists(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["x", "y", None])), max_size=6))
    )
    def holds(batches: list[Pairs]) -> None:
        raw, accepted = accept(batches, tmp_path)
        rows = [pair for pairs in batches for pair in pairs]
        firsts = {pair: line for line, pair in reversed(list(enumerate(rows, start=1)))}
        assert sorted(raw["source_line"].to_pylist()) == sorted(firsts.values())
        assert accepted.duplicates == len(rows) - len(firsts)
        assert accepted.repeated_keys() == len(firsts) - len({key for key, _ in firsts})
        assert accepted.digest() == digest_of("raw", raw.to_batches())
        files = [number % 2 for number, pairs in enumerate(batches) for _ in pairs]
        assert all(row["source_file"] == f"file {files[row['source_line'] - 1]}" for row in raw.to_pylist())

    holds()


def test_rows_with_equal_marks_are_repeated_only_when_they_are_equal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accepted_module, "marks_of", lambda rows, _: np.zeros((2, rows.num_rows), np.uint64))
    monkeypatch.setattr(accepted_module, "column_marks", lambda _, key: np.zeros((2, len(key)), np.uint64))
    raw, accepted = accept([[("a", "x"), ("b", "x")], [("a", "x"), ("c", None), ("b", "x")]], tmp_path)
    assert raw["id"].to_pylist() == ["a", "b", "c"]
    assert accepted.duplicates == 2


def test_rows_are_known_again_in_a_table_with_columns_that_came_later(tmp_path: Path) -> None:
    """What the table keeps about such a column, where null says nothing, is no part of a row."""
    assert accepted_again(small_context(tmp_path), "2026-11-15", tmp_path) == (1, 2)
    columns = {"id": "string", "text": "string", "label": "string", "mood": "string"}
    later = small_loop(source={**LOOP.source.model_dump(), "columns": columns})
    assert accepted_again(small_context(tmp_path, later), DAY, tmp_path) == (1, 2)


def accepted_again(context: StageContext, day: str, folder: Path) -> tuple[int, int]:
    """How many of three equal rows are accepted and left out; a column `mood` is null in them."""
    fence = context.lake.claim("ingest", day, context.attempt)
    rows = [{"id": "a", "text": "x", "label": "tech", "source_line": line} for line in (1, 2, 3)]
    with (
        context.lake.draft("raw", where={"partition": day}, fence=fence) as draft,
        Accepted(draft, context.loop, day, folder) as accepted,
    ):
        for row in rows:
            accepted.add(pa.RecordBatch.from_pylist([row], row_schema(context.loop.source)), "drop")
        accepted.settle()
        published = draft.publish(accepted.digest())
    assert context.lake.digest("raw", partition=day) == published.digest
    return published.rows, accepted.duplicates
