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

All outcomes are given at once, as arrays: a look at a trial counts them anew from the tables, a million in a
second.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

RATIOS = (2.0, 4.0, 16.0, 256.0)
"""What is bet on, with a quarter of the capital each: that bad outcomes are so many times more frequent than
is tolerated, as odds against odds."""
_LARGEST_LOG = 700.0
"""The capital of a bet is counted up to about 1e304."""


def multiplied(ours: Any, theirs: Any, bad: Any, bad_ours: Any, tolerated: float, ratio: float) -> Any:
    """What the capital of one bet is multiplied by, after a block; numbers, or arrays of a number a block.

    Its expectation is at most 1 where the odds of a bad outcome of ours are at most `tolerated` times theirs.

    Args:
        ours: outcomes of the version in question in the block; it or `theirs` is 1.
        theirs: outcomes of the other.
        bad: bad ones among all.
        bad_ours: bad ones among ours.
        tolerated: odds ratio up to which the bet is not won on average.
        ratio: how many times larger it is by the bet.
    """
    single = np.equal(ours, 1)
    good = np.where(single, theirs, ours) - bad + 1
    won = bad_ours - np.where(single, 0, bad - 1)
    if_ours, if_theirs = np.where(single, bad, good) * tolerated, np.where(single, good, bad)
    return (if_theirs + if_ours) / (if_theirs + if_ours * ratio) * ratio**won


@dataclass(frozen=True)
class Bet:
    """The evidence that bad outcomes of ours are more frequent than theirs."""

    ours: int
    """Outcomes."""
    theirs: int
    bad_ours: int
    bad_theirs: int
    highest: float
    """That the capital ever was, 1 at the beginning: what the decision follows from."""
    path_ours: Ints
    """Of each block: outcomes of ours by then."""
    path: Floats
    """Of each block: the evidence after it, the capital."""

    @property
    def evidence(self) -> float:
        """The capital now."""
        return float(self.path[-1]) if len(self.path) else 1.0

    def evidence_at(self, ours: Ints) -> Floats:
        """The evidence when so many outcomes of ours were known, of each number."""
        known: Floats = np.concatenate([[1.0], self.path])
        return known[np.searchsorted(self.path_ours, ours, side="right")]


def bet(our: Bools, bad: Bools, tolerated: float = 1.0) -> Bet:
    """The bet on outcomes, in the order in which they came.

    Args:
        our: [n], of the version in question, or of the other.
        bad: [n].
        tolerated: odds ratio up to which the bet is not won on average.
    """
    ends = block_ends(our)
    bad_ours = our & bad
    block_size, block_ours, block_bad, block_bad_ours = (
        _per_block(each, ends) for each in (np.ones_like(our), our, bad, bad_ours)
    )
    # Where none or all are bad it is known which version had them, and nothing can be won.
    played = (block_bad > 0) & (block_bad < block_size)
    ours, theirs = block_ours[played], (block_size - block_ours)[played]
    many, many_ours = block_bad[played], block_bad_ours[played]
    capital = np.zeros(len(ours))
    for ratio in RATIOS:
        logs = np.cumsum(np.log(multiplied(ours, theirs, many, many_ours, tolerated, ratio)))
        capital += np.exp(np.minimum(logs, _LARGEST_LOG))
    capital /= len(RATIOS)
    return Bet(
        ours=int(our.sum()),
        theirs=int((~our).sum()),
        bad_ours=int(bad_ours.sum()),
        bad_theirs=int((bad & ~our).sum()),
        highest=float(capital.max(initial=1.0)),
        path_ours=np.cumsum(block_ours),
        path=np.concatenate([[1.0], capital])[np.cumsum(played)],
    )


def bet_on_sizes(
    our: Bools,
    numbers: Floats,
    *,
    quantile: float,
    stretched: Callable[[Floats], Floats],
    least: int,
    tolerated: float = 1.0,
) -> Bet:
    """As `bet`, of numbers such as latencies: bad is one beyond a bound that theirs of before set.

    The bound is a quantile of their numbers in the blocks before, each `stretched` to what would be tolerated
    in its place; until there are `least` of them nothing is bet, and nothing is counted.
    """
    theirs = np.flatnonzero(~our)
    if len(theirs) < least:
        return bet(our[:0], our[:0], tolerated)
    first = int(theirs[least - 1]) + 1
    bounds_of = running_quantiles(stretched(numbers[theirs]), quantile)
    numbers = np.where(our, numbers, stretched(numbers))[first:]
    our = our[first:]
    ends = block_ends(our)
    starts = np.concatenate([[0], ends + 1])
    known = least + np.concatenate([[0], np.cumsum(~our)])[starts]
    bounds = np.repeat(bounds_of[known - 1], np.diff(starts, append=len(our)))
    return bet(our, numbers > bounds, tolerated)


def block_ends(our: Bools) -> Ints:
    """Places of the last outcome of each whole block."""
    ends, start = [], 0
    for change in (np.flatnonzero(our[1:] != our[:-1]) + 1).tolist():
        if change > start:  # else it lies between two blocks
            ends.append(change)
            start = change + 1
    return np.array(ends, dtype=np.int64)


def _per_block(flags: Bools, ends: Ints) -> Ints:
    """How many are set in each block."""
    return np.diff(np.cumsum(flags, dtype=np.int64)[ends], prepend=0)


def running_quantiles(numbers: Floats, quantile: float) -> Floats:
    """Of the first, the first two, ... of `numbers`: the smallest that is no less than this share of them."""
    ranks = np.maximum(np.ceil(quantile * np.arange(1, len(numbers) + 1)), 1).astype(np.int64)
    low: list[float] = []  # the smallest ones up to the rank, negated: a heap whose first is the quantile
    high: list[float] = []
    found = []
    for number, rank in zip(numbers.tolist(), ranks.tolist(), strict=True):
        if len(low) < rank:
            heapq.heappush(low, -heapq.heappushpop(high, number))
        else:
            heapq.heappush(high, -heapq.heappushpop(low, -number))
        found.append(-low[0])
    return np.array(found, dtype=np.float64)
