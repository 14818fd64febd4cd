"""How far the answers of a model are from what it was trained on: pure functions on shares.

A share is a number in 0..1 by the name of a class or an interval, as `Task.shares` deals answers out; the
shares of a set of answers sum to 1. What follows from a distance is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class ShareComparison:
    """Observed shares beside expected ones, over the names of both."""

    observed: dict[str, float]
    expected: dict[str, float]
    differences: dict[str, float]
    """Observed minus expected, by name."""
    total_variation: float
    """Half the sum of the absolute differences: the share of answers that would have to be others for the two
    to be equal. 0 is equal, 1 is disjoint."""

    @property
    def most_moved(self) -> str:
        """The name with the largest absolute difference; of equal ones the first."""
        return max(sorted(self.differences), key=lambda name: abs(self.differences[name]))


def compare_shares(observed: Mapping[str, float], expected: Mapping[str, float]) -> ShareComparison:
    """Compare two sets of shares; a name that one of them lacks has the share 0 there."""
    names = [*expected, *(name for name in observed if name not in expected)]
    ours = {name: observed.get(name, 0.0) for name in names}
    theirs = {name: expected.get(name, 0.0) for name in names}
    differences = {name: ours[name] - theirs[name] for name in names}
    return ShareComparison(ours, theirs, differences, sum(map(abs, differences.values())) / 2)
