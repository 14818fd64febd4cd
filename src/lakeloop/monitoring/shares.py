"""How far the answers of a model are from what it was trained on, by label: pure functions on shares.

A share is a number in 0..1; the shares of a set of answers sum to 1. What follows from a distance is decided
elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class ShareComparison:
    """Observed shares beside expected ones, over the labels of both."""

    observed: dict[str, float]
    expected: dict[str, float]
    differences: dict[str, float]
    """Observed minus expected, by label."""
    total_variation: float
    """Half the sum of the absolute differences: the share of answers that would have to change their label
    for the two to be equal. 0 is equal, 1 is disjoint."""

    @property
    def most_moved(self) -> str:
        """The label with the largest absolute difference; of equal ones the first by name."""
        return max(sorted(self.differences), key=lambda label: abs(self.differences[label]))


def shares(counts: Mapping[str, int]) -> dict[str, float]:
    """Share of each label.

    Raises:
        ValueError: there is nothing to share out.
    """
    total = sum(counts.values())
    if total <= 0:
        raise ValueError(f"no shares of {total} answers")
    return {label: count / total for label, count in counts.items()}


def compare_shares(observed: Mapping[str, float], expected: Mapping[str, float]) -> ShareComparison:
    """Compare two sets of shares; a label that one of them lacks has the share 0 there."""
    labels = [*expected, *(label for label in observed if label not in expected)]
    ours = {label: observed.get(label, 0.0) for label in labels}
    theirs = {label: expected.get(label, 0.0) for label in labels}
    differences = {label: ours[label] - theirs[label] for label in labels}
    return ShareComparison(ours, theirs, differences, sum(map(abs, differences.values())) / 2)
