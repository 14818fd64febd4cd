"""Shares and their distance, on cases that can be reckoned by hand and on any others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeloop.monitoring.shares import compare_shares

SHARES = (
    st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 10**9), min_size=1)
    .filter(lambda counts: sum(counts.values()) > 0)
    .map(lambda counts: {name: count / sum(counts.values()) for name, count in counts.items()})
)


def test_the_distance_is_the_share_of_answers_that_moved() -> None:
    comparison = compare_shares({"sports": 0.7, "tech": 0.3}, {"sports": 0.5, "tech": 0.5})

    assert comparison.total_variation == pytest.approx(0.2)
    assert comparison.differences == pytest.approx({"sports": 0.2, "tech": -0.2})


def test_a_name_that_one_side_lacks_counts_as_share_zero() -> None:
    comparison = compare_shares({"new": 1.0}, {"old": 1.0})

    assert comparison.total_variation == 1
    assert comparison.differences == {"old": -1.0, "new": 1.0}
    assert comparison.most_moved == "new"


@given(SHARES, SHARES)
def test_the_distance_is_a_distance(one: dict[str, float], other: dict[str, float]) -> None:
    there = compare_shares(one, other)
    back = compare_shares(other, one)

    assert 0 <= there.total_variation <= 1 + 1e-9
    assert there.total_variation == pytest.approx(back.total_variation, abs=1e-12)
    assert compare_shares(one, one).total_variation == 0
    assert sum(there.differences.values()) == pytest.approx(0, abs=1e-9)
