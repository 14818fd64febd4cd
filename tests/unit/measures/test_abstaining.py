"""Thresholds: each is worth its place, and what a model would answer above it is what is said."""

from __future__ import annotations

import numpy as np
import pytest

from lakeloop.measures.abstaining import FEWEST_ANSWERS, threshold_for, thresholds_of


def test_each_threshold_says_how_much_is_answered_above_it_and_how_much_of_that_is_right() -> None:
    random = np.random.default_rng(0)
    sure = random.random(2000).round(2)  # many rows are as sure as others
    right = random.random(2000) < sure
    known = thresholds_of(sure, right)
    assert known[0].below == 0.0
    assert known[0].answered == 1.0
    for each in known:
        inside = sure >= each.below
        assert each.answered == pytest.approx(inside.mean())
        assert each.precision == pytest.approx(right[inside].mean())
        assert inside.sum() >= FEWEST_ANSWERS
    assert [each.precision for each in known] == sorted({each.precision for each in known})
    assert [each.below for each in known] == sorted(each.below for each in known)


def test_the_lowest_threshold_is_taken_that_reaches_what_is_asked() -> None:
    random = np.random.default_rng(1)
    sure = random.random(5000)
    right = random.random(5000) < sure
    known = thresholds_of(sure, right)
    below = threshold_for(0.8, known)
    assert right[sure >= below].mean() >= 0.8
    assert below == pytest.approx(0.6, abs=0.05)  # of answers that are as right as they are sure: 2 * 0.8 - 1
    assert threshold_for(0.5, known) < threshold_for(0.9, known)


def test_what_no_threshold_reaches_is_held_back_as_far_as_rows_tell() -> None:
    sure, right = np.linspace(0, 1, 100), np.arange(100) % 2 == 0
    known = thresholds_of(sure, right)
    assert threshold_for(0.99, known) == known[-1].below


def test_of_few_rows_nothing_is_known_and_nothing_is_held_back() -> None:
    assert thresholds_of(np.ones(19), np.ones(19)) == ()
    assert threshold_for(0.95, ()) == 0.0


def test_many_rows_leave_a_bounded_number_of_thresholds() -> None:
    sure = np.linspace(0, 1, 50_000)
    known = thresholds_of(sure, np.random.default_rng(2).random(50_000) < sure)
    assert len(known) <= 200
