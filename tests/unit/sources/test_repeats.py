"""Rows that may be there twice are those that sets would find, in memory and on the disk."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lakeloop.lake.marks import Marks
from lakeloop.sources import repeats as repeats_module
from lakeloop.sources.repeats import Met, Repeats

Pairs = list[tuple[int, int]]
SMALL = st.integers(0, 5) | st.sampled_from([2**64 - 1, 2**56, 2**63])


def marks_of(pairs: Pairs) -> Marks:
    return np.array(pairs, np.uint64).reshape(-1, 2).T


@pytest.mark.parametrize("run_rows", [3, 1 << 20], ids=["on the disk", "in memory"])
def test_rows_are_alike_when_another_has_both_words(run_rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats_module, "_RUN_ROWS", run_rows)

    @settings(deadline=None)
    @given(st.lists(st.lists(st.tuples(SMALL, SMALL), max_size=5), max_size=6))
    @example([])
    @example([[(1, 1), (1, 2)], [(1, 3)], [(1, 2)]])
    def holds(batches: list[Pairs]) -> None:
        repeats = Repeats()
        for batch in batches:
            repeats.add(marks_of(batch))
        rows = [pair for batch in batches for pair in batch]
        many = {pair for pair, times in Counter(rows).items() if times > 1}
        alike = repeats.alike()
        assert alike.places.tolist() == [place for place, pair in enumerate(rows) if pair in many]
        assert alike.marks == len(many)

    holds()


@pytest.mark.parametrize("filter_bits", [1, 22])
def test_a_mark_that_was_there_is_known_and_with_room_for_all_no_other(
    filter_bits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repeats_module, "_FILTER_BITS", filter_bits)
    words = np.random.default_rng(5).integers(0, 2**63, (2, 400), np.uint64) * np.uint64(2)
    met = Met()
    first = met.seen(words[:, :200])
    if filter_bits == 22:
        assert not first.any()
        assert not met.seen(words[:, 200:]).any()
    assert met.seen(words[:, :200]).all()
    twice = np.array([[7, 9, 7, 7], [1, 1, 1, 1]], np.uint64) << np.uint64(32)
    assert Met().seen(twice).tolist()[2:] == [True, True]
