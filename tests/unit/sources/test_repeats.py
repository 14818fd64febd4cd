"""Repeated rows and distinct keys are those that sets would find."""

from __future__ import annotations

import hashlib

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lakeloop.sources import repeats as repeats_module
from lakeloop.sources.repeats import Distinct, Repeats


def by_set(hashes: list[bytes]) -> list[bool]:
    seen: set[bytes] = set()
    return [value in seen or bool(seen.add(value)) for value in hashes]  # type: ignore[func-returns-value]


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, 12), max_size=5), max_size=6))
@example([])
def test_a_row_is_repeated_when_an_equal_one_came_before(batches: list[list[int]]) -> None:
    hashes = [[hashlib.sha256(bytes([number])).digest() for number in batch] for batch in batches]
    repeats = Repeats()
    for batch in hashes:
        repeats.add(batch)
    assert repeats.mask().tolist() == by_set([value for batch in hashes for value in batch])


def test_rows_that_agree_in_64_bits_only_are_different(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats_module, "_LOOKED_AT", 2)
    one, two, other = b"a" * 8 + b"x" * 24, b"a" * 8 + b"y" * 24, b"b" * 32
    repeats = Repeats()
    repeats.add([one, two, other, two, one, one])
    assert repeats.mask().tolist() == [False, False, False, True, True, True]


@settings(deadline=None)
@given(st.lists(st.text(max_size=2)) | st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3)))
def test_distinct_values_are_counted(values: list[str] | list[int]) -> None:
    kind = pa.string() if any(isinstance(value, str) for value in values) else pa.int64()
    distinct = Distinct()
    for start in range(0, len(values), 3):
        distinct.add(pa.array(values[start : start + 3], kind))
    assert distinct.count() == len(set(values))
