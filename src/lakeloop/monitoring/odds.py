"""Whether something bad happens more often to one version than to another, looked at as often as one likes.

The test is a bet. Outcomes of both versions are taken in the order in which they come, in blocks that end as
soon as each version has one outcome. Of a block it is known how many outcomes were bad; which version had
them is bet on, at odds that are fair where the version in question has them `tolerated` times as often (odds
against odds). The capital, 1 at the beginning, is the evidence: where the version is in truth no worse than
tolerated, the chance that it ever reaches 1/a, at any time and however often one looks, is at most a.

Sources: the inequality is Ville's (1939); testing by betting, and mixtures of bets as bets, Ramdas, Grunwald,
Vovk and Shafer, "Game-theoretic statistics and safe anytime-valid inference", Statistical Science 38 (2023);
blocks of two groups, Turner, Ly and Grunwald, "Generic E-variables for exact sequential k-sample tests that
allow for optional stopping", Journal of Statistical Planning and Inference 230 (2024). Here each bet is made
given the number of bad outcomes of its block, where the odds ratio alone decides: Fisher's noncentral
hypergeometric distribution (1935). A block has one outcome of one of the versions, so that this distribution
has two values, and what the capital is multiplied by is a fraction.

Assumed is that within a block the outcomes of the two versions do not hang together otherwise: which version
a request goes to says nothing of how hard it is. Of pairs, the same request to both, nothing is assumed.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable
from dataclasses import dataclass, field

RATIOS = (2.0, 4.0, 16.0, 256.0)
"""What is bet on, with a quarter of the capital each: that bad outcomes are so many times more frequent than
is tolerated, as odds against odds."""


def multiplied(ours: int, theirs: int, bad: int, bad_ours: int, tolerated: float, ratio: float) -> float:
    """What the capital of one bet is multiplied by, after a block.

    Its expectation is at most 1 where the odds of a bad outcome of ours are at most `tolerated` times theirs.

    Args:
        ours: outcomes of the version in question in the block; it or `theirs` is 1.
        theirs: outcomes of the other.
        bad: bad ones among all.
        bad_ours: bad ones among ours.
        tolerated: odds ratio up to which the bet is not won on average.
        ratio: how many times larger it is by the bet.
    """
    if ours == 1:
        good = theirs - bad + 1
        won, base = bad_ours, (good + bad * tolerated) / (good + bad * tolerated * ratio)
    else:
        good = ours - bad + 1
        won = bad_ours - (bad - 1)
        base = (good * tolerated + bad) / (good * tolerated * ratio + bad)
    return base * ratio**won


@dataclass
class Bet:
    """The evidence that bad outcomes of ours are more frequent than theirs, outcome by outcome."""

    tolerated: float = 1.0
    ours: int = 0
    """Outcomes so far."""
    theirs: int = 0
    bad_ours: int = 0
    bad_theirs: int = 0
    evidence: float = 1.0
    """The capital now."""
    highest: float = 1.0
    """That it ever had: what the decision follows from."""
    path: list[tuple[int, float]] = field(default_factory=list)
    """After each block: outcomes of ours so far, the evidence."""
    _logs: list[float] = field(default_factory=lambda: [0.0] * len(RATIOS))
    _block: list[tuple[bool, bool]] = field(default_factory=list)
    _sides: set[bool] = field(default_factory=set)

    def add(self, *, our: bool, bad: bool) -> bool:
        """Take one outcome; true when it ended a block."""
        if our:
            self.ours, self.bad_ours = self.ours + 1, self.bad_ours + bad
        else:
            self.theirs, self.bad_theirs = self.theirs + 1, self.bad_theirs + bad
        self._block.append((our, bad))
        self._sides.add(our)
        if len(self._sides) < 2:
            return False
        self._settle()
        return True

    def _settle(self) -> None:
        ours = sum(our for our, _ in self._block)
        bad_ours = sum(our and bad for our, bad in self._block)
        bad, size = sum(bad for _, bad in self._block), len(self._block)
        self._block, self._sides = [], set()
        if 0 < bad < size:  # else it is known which version had them, and nothing can be won
            for place, ratio in enumerate(RATIOS):
                factor = multiplied(ours, size - ours, bad, bad_ours, self.tolerated, ratio)
                self._logs[place] += math.log(factor)
            self.evidence = sum(math.exp(min(log, 700.0)) for log in self._logs) / len(RATIOS)
            self.highest = max(self.highest, self.evidence)
        self.path.append((self.ours, self.evidence))


@dataclass
class Sizes:
    """As `Bet`, of numbers such as latencies: bad is one beyond a bound that theirs of before set.

    The bound is a quantile of their numbers in the blocks before, each `stretched` to what would be tolerated
    in its place; until there are `least` of them nothing is bet.
    """

    quantile: float
    stretched: Callable[[float], float]
    least: int
    bet: Bet = field(default_factory=Bet)
    _before: list[float] = field(default_factory=list)
    _block: list[float] = field(default_factory=list)

    def add(self, *, our: bool, number: float) -> None:
        """Take one number."""
        stretched = number if our else self.stretched(number)
        if not our:
            self._block.append(stretched)
        learning = len(self._before) < self.least
        if learning or self.bet.add(our=our, bad=stretched > self.bound):
            self._learn()

    @property
    def bound(self) -> float:
        """Beyond it a number is bad."""
        place = math.ceil(self.quantile * len(self._before)) - 1
        return self._before[max(place, 0)]

    def _learn(self) -> None:
        for number in self._block:
            bisect.insort(self._before, number)
        self._block = []
