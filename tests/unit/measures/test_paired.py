"""Tests of two models: as scipy has them, and what holds for any answers."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from lakeloop.measures.base import Outcomes
from lakeloop.measures.paired import difference_of_shares, holm, mcnemar, paired_bootstrap
from lakeloop.measures.registry import metric_of

ROWS = 400
counts = st.integers(0, 3000)


def outcomes(wrong: slice) -> Outcomes:
    """Three classes in turn; the rows `wrong` get the next one."""
    truth = np.arange(ROWS) % 3
    answer = truth.copy()
    answer[wrong] = (answer[wrong] + 1) % 3
    return Outcomes(truth, answer, np.eye(3)[answer] * 0.8 + 0.1)


@given(gained=counts, lost=counts)
def test_mcnemar_is_the_exact_test_of_a_fair_coin(gained: int, lost: int) -> None:
    expected = binomtest(gained, gained + lost, alternative="greater").pvalue if gained + lost else 1.0
    assert mcnemar(gained, lost) == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_mcnemar_of_more_changes_than_a_float_holds_outcomes_is_a_chance() -> None:
    assert mcnemar(31000, 30000) == pytest.approx(2.6e-05, rel=0.05)


def test_holm_as_in_his_paper() -> None:
    # Four tests: 0.005 x 4, 0.01 x 3, 0.03 x 2, 0.04 x 1 but no less than the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.7, 0.9]) == [1.0, 1.0]


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_never_makes_a_chance_smaller_nor_changes_their_order(chances: list[float]) -> None:
    corrected = holm(chances)
    assert all(after >= before for before, after in zip(chances, corrected, strict=True))
    order = sorted(range(len(chances)), key=chances.__getitem__)
    assert [corrected[n] for n in order] == sorted(corrected)


@pytest.mark.parametrize("name", ["accuracy", "macro_f1", "log_loss"])
def test_resampling_finds_the_better_model_whichever_way_the_metric_goes(name: str) -> None:
    good, bad = outcomes(slice(0, 20)), outcomes(slice(0, 60))
    found = paired_bootstrap(metric_of("classification", name), good, bad)
    assert found.advantage > 0
    assert found.low > 0
    assert found.low < found.advantage < found.high
    assert found.p_better < 0.01
    assert found.p_worse > 0.99
    back = paired_bootstrap(metric_of("classification", name), bad, good)
    assert back.advantage == pytest.approx(-found.advantage)
    assert (back.low, back.high) == pytest.approx((-found.high, -found.low))


def test_a_model_is_not_better_than_itself() -> None:
    same = outcomes(slice(0, 20))
    found = paired_bootstrap(metric_of("classification"), same, same)
    assert (found.advantage, found.low, found.high) == (0, 0, 0)
    assert (found.p_better, found.p_worse) == (1, 1)


def test_resampling_is_the_same_each_time() -> None:
    pair = outcomes(slice(0, 20)), outcomes(slice(10, 35))
    metric = metric_of("classification")
    assert paired_bootstrap(metric, *pair) == paired_bootstrap(metric, *pair)


def test_the_exact_test_and_resampling_agree_on_the_share_of_right_rows() -> None:
    good, bad = outcomes(slice(0, 20)), outcomes(slice(10, 45))  # 25 gained, 10 lost
    exact = difference_of_shares(25, 10, ROWS)
    drawn = paired_bootstrap(metric_of("classification", "accuracy"), good, bad)
    assert exact.advantage == pytest.approx(drawn.advantage)
    assert exact.low == pytest.approx(drawn.low, abs=0.004)
    assert exact.high == pytest.approx(drawn.high, abs=0.004)
    assert exact.p_better == pytest.approx(binomtest(25, 35, alternative="greater").pvalue)


@given(gained=st.integers(0, 50), lost=st.integers(0, 50), both=st.integers(1, 500))
def test_an_interval_holds_the_advantage_and_stays_between_all_lost_and_all_gained(
    gained: int, lost: int, both: int
) -> None:
    rows = gained + lost + both
    found = difference_of_shares(gained, lost, rows)
    assert -1 <= found.low <= found.high <= 1
    assert found.low - 1 / rows <= found.advantage <= found.high + 1 / rows


def test_mcnemar_of_a_hundred_thousand_changes_is_exact_and_takes_no_minutes() -> None:
    started = time.process_time()
    assert mcnemar(100_500, 99_500) == pytest.approx(
        binomtest(100_500, 200_000, alternative="greater").pvalue, rel=1e-9
    )
    assert (mcnemar(0, 100_000), mcnemar(100_000, 0)) == (1.0, 0.0)
    assert time.process_time() - started < 5
    assert mcnemar(2600, 2401) == pytest.approx(mcnemar(2600, 2400), rel=0.2), "both ways of counting"
