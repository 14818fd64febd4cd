"""Bets on which version has the bad outcomes: fair where none is worse, and won soon where one is."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from lakeloop.monitoring.odds import RATIOS, Bet, bet, bet_on_sizes, multiplied, running_quantiles


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


def taken(outcomes: Iterable[tuple[bool, bool]], tolerated: float = 1.0) -> Bet:
    pairs = np.array(list(outcomes), dtype=np.bool_).reshape(-1, 2)
    return bet(pairs[:, 0], pairs[:, 1], tolerated)


def test_without_outcomes_there_is_no_evidence() -> None:
    none = taken([])
    assert (none.evidence, none.highest, len(none.path)) == (1.0, 1.0, 0)
    alone = taken([(True, True)] * 50)  # of one version alone nothing can be said
    assert (alone.highest, alone.bad_ours) == (1.0, 50)


def test_a_bad_outcome_more_of_ours_is_more_evidence_and_one_of_theirs_is_less() -> None:
    def after(ours_bad: int, theirs_bad: int) -> float:
        pairs = [((False, number < theirs_bad), (True, number >= 40 - ours_bad)) for number in range(40)]
        return taken(itertools.chain.from_iterable(pairs)).evidence

    evidence = [after(bad, 2) for bad in range(12)]
    assert evidence == sorted(evidence)
    assert after(8, 0) > after(8, 2) > after(8, 4)


def test_what_is_tolerated_is_not_held_against_a_version() -> None:
    rng = random.Random(3)
    outcomes = []
    for number in range(4000):
        our = number % 2 == 1
        outcomes.append((our, rng.random() < (0.18 if our else 0.1)))  # odds 1.98 times
    assert taken(outcomes).highest > 1000
    assert taken(outcomes, 2.0).highest < 20


def test_the_bound_of_numbers_is_set_by_those_of_the_other_before() -> None:
    theirs = [(False, float(number + 1)) for number in range(20)]
    learnt = on_sizes(theirs)
    assert learnt.theirs == 0  # they were needed to learn
    assert running_quantiles(np.arange(1.0, 21.0) * 1.5, 0.9)[-1] == 18 * 1.5
    found = on_sizes([*theirs, (True, 27.0), (True, 27.1)])
    assert (found.ours, found.bad_ours) == (2, 1)


def on_sizes(pairs: Sequence[tuple[bool, float]]) -> Bet:
    our = np.array([our for our, _ in pairs], dtype=np.bool_)
    numbers = np.array([number for _, number in pairs], dtype=np.float64)
    return bet_on_sizes(our, numbers, quantile=0.9, stretched=lambda some: some * 1.5, least=20)


@dataclass
class OneByOne:
    """The bet as it is told: outcome after outcome, block after block."""

    capitals: list[float] = field(default_factory=lambda: [1.0] * len(RATIOS))
    block: list[tuple[bool, bool]] = field(default_factory=list)
    path: list[float] = field(default_factory=list)

    def add(self, our: bool, bad: bool) -> bool:
        """True when it ended a block."""
        self.block.append((our, bad))
        if len({side for side, _ in self.block}) < 2:
            return False
        size, ours = len(self.block), sum(side for side, _ in self.block)
        many, many_ours = sum(one for _, one in self.block), sum(side and one for side, one in self.block)
        if 0 < many < size:
            for place, ratio in enumerate(RATIOS):
                self.capitals[place] *= multiplied(ours, size - ours, many, many_ours, 1.0, ratio)
        self.block = []
        self.path.append(sum(self.capitals) / len(RATIOS))
        return True


@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
@pytest.mark.parametrize("worse", [0.1, 0.3])
def test_all_at_once_is_as_outcome_after_outcome(share: float, worse: float) -> None:
    rng = np.random.default_rng(11)
    our = rng.random(700) < share
    bad = rng.random(700) < np.where(our, worse, 0.1)
    slow = OneByOne()
    for one in zip(our.tolist(), bad.tolist(), strict=True):
        slow.add(*one)
    assert bet(our, bad).path.tolist() == pytest.approx(slow.path)
    numbers = rng.exponential(20.0, 700).round(1) * np.where(our, 1.0 + worse, 1.0)
    slow = OneByOne()
    before: list[float] = []
    block: list[float] = []
    for one, number in zip(our.tolist(), numbers.tolist(), strict=True):
        block += [] if one else [number * 1.5]
        bound = sorted(before)[math.ceil(0.9 * len(before)) - 1] if before else 0.0
        if len(before) < 20 or slow.add(one, (number if one else number * 1.5) > bound):
            before, block = before + block, []
    assert on_sizes([*zip(our.tolist(), numbers.tolist(), strict=True)]).path.tolist() == pytest.approx(
        slow.path
    )
