"""Bets on which version has the bad outcomes: fair where none is worse, and won soon where one is."""

from __future__ import annotations

import itertools
import math
import random

import pytest

from lakeloop.monitoring.odds import RATIOS, Bet, Sizes, multiplied


@pytest.mark.parametrize(("ours", "theirs"), [(1, 1), (1, 9), (6, 1)])
@pytest.mark.parametrize("tolerated", [1.0, 2.0])
@pytest.mark.parametrize("ratio", RATIOS)
def test_a_bet_is_fair_at_what_is_tolerated_and_unfavourable_below(
    ours: int, theirs: int, tolerated: float, ratio: float
) -> None:
    """By all outcomes of a block, each with its probability, not by a simulation."""
    for odds, most in ((tolerated, 1.0), (tolerated / 2, 1.0)):
        theirs_bad = 0.1
        ours_bad = odds * theirs_bad / (1 - theirs_bad + odds * theirs_bad)
        for bad in range(1, ours + theirs):
            mass = value = 0.0
            for outcomes in itertools.product((0, 1), repeat=ours + theirs):
                if sum(outcomes) != bad:
                    continue
                mine = sum(outcomes[:ours])
                chance = math.prod(
                    (ours_bad if bad_one else 1 - ours_bad) if place < ours else (0.1 if bad_one else 0.9)
                    for place, bad_one in enumerate(outcomes)
                )
                mass += chance
                value += chance * multiplied(ours, theirs, bad, mine, tolerated, ratio)
            assert value / mass <= most + 1e-12
            if odds == tolerated:
                assert value / mass == pytest.approx(1.0)


def test_without_outcomes_there_is_no_evidence() -> None:
    bet = Bet()
    assert (bet.evidence, bet.highest, bet.path) == (1.0, 1.0, [])
    for _ in range(50):
        bet.add(our=True, bad=True)  # of one version alone nothing can be said
    assert (bet.highest, bet.bad_ours) == (1.0, 50)


def test_a_bad_outcome_more_of_ours_is_more_evidence_and_one_of_theirs_is_less() -> None:
    def after(ours_bad: int, theirs_bad: int) -> float:
        bet = Bet()
        for number in range(40):
            bet.add(our=False, bad=number < theirs_bad)
            bet.add(our=True, bad=number >= 40 - ours_bad)
        return bet.evidence

    evidence = [after(bad, 2) for bad in range(12)]
    assert evidence == sorted(evidence)
    assert after(8, 0) > after(8, 2) > after(8, 4)


def test_what_is_tolerated_is_not_held_against_a_version() -> None:
    rng = random.Random(3)
    strict, lenient = Bet(), Bet(2.0)
    for number in range(4000):
        our = number % 2 == 1
        bad = rng.random() < (0.18 if our else 0.1)  # odds 1.98 times
        strict.add(our=our, bad=bad)
        lenient.add(our=our, bad=bad)
    assert strict.highest > 1000
    assert lenient.highest < 20


def test_the_bound_of_numbers_is_set_by_those_of_the_other_before() -> None:
    sizes = Sizes(0.9, lambda number: number * 1.5, 20)
    for number in range(20):
        sizes.add(our=False, number=float(number + 1))
    assert sizes.bound == 18 * 1.5
    assert sizes.bet.theirs == 0  # they were needed to learn
    sizes.add(our=True, number=27.0)
    sizes.add(our=True, number=27.1)
    assert (sizes.bet.ours, sizes.bet.bad_ours) == (2, 1)
