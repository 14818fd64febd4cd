"""No part of the rows pays for the gain of the others."""

from __future__ import annotations

from collections.abc import Iterator

from lakeloop.evidence import Evidence, ModelEvidence, SliceChange
from lakeloop.gate.rules.base import Requirement
from lakeloop.spec.loop import LoopSpec

_NAMED = 3
SIGNIFICANCE_OF_SLICES = 0.1
"""Chance that any of the slices is taken for lost where none is: a false alarm costs a look, a slice that is
lost costs those who ask for it, so it is twice the chance of a false promotion."""


class NoSliceLost:
    """Asks that no slice loses more than `gate.max_slice_regression` where that is more than chance."""

    def asks(self, loop: LoopSpec) -> Iterator[str]:
        if (most := loop.gate.max_slice_regression) < 1:
            yield (
                f"no slice of the test rows that loses more than {100 * most:.3g} % of its rows,"
                " where that is more than chance"
            )

    def check(self, candidate: ModelEvidence, evidence: Evidence, loop: LoopSpec) -> Iterator[Requirement]:
        most = loop.gate.max_slice_regression
        for found in evidence.comparisons:
            if found.candidate != candidate.name or not found.slices or most >= 1:
                continue
            lost = [each for each in found.slices if is_lost(each, most)]
            yield Requirement(
                name=f"no slice lost to the {evidence.model(found.other).title}",
                passed=not lost,
                expected=f"at most {100 * most:.3g} % of the rows of each of {len(found.slices)} slices",
                found="; ".join(map(_in_words, (lost or found.slices[:1])[:_NAMED])) + _more(lost),
            )


def is_lost(change: SliceChange, most: float) -> bool:
    """Whether a slice loses more than the share `most` of its rows, by more than chance."""
    return change.p_worse <= SIGNIFICANCE_OF_SLICES and change.loss > most


def _in_words(change: SliceChange) -> str:
    return (
        f"{change.name} loses {100 * change.loss:.1f} % of {change.rows} rows"
        f" ({change.lost} worse, {change.gained} better, p {change.p_worse:.3f})"
    )


def _more(lost: list[SliceChange]) -> str:
    return f"; and {len(lost) - _NAMED} more" if len(lost) > _NAMED else ""
