"""From how sure answers are to the threshold below which a model had better say nothing.

Selective prediction (Chow 1970; Geifman and El-Yaniv 2017): of the answers whose probability is at least
a threshold some share is right, its precision; the higher the threshold, the fewer answers are given.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from lakeloop.records import Frozen

if TYPE_CHECKING:
    from numpy.typing import NDArray

FEWEST_ANSWERS = 20
"""Of fewer answers a precision says nothing."""
_MOST = 200
"""Thresholds that are kept."""


class Threshold(Frozen):
    """What answers are worth whose probability is at least `below`, on validation rows."""

    below: float = Field(ge=0, le=1)
    """Answers that are less probable are held back."""
    precision: float = Field(ge=0, le=1)
    """Share of the others that is right."""
    answered: float = Field(ge=0, le=1)
    """Their share of all rows."""


def thresholds_of(sure: NDArray[Any], right: NDArray[Any]) -> tuple[Threshold, ...]:
    """The thresholds that are worth choosing between, the lowest first: each with a higher precision.

    `sure` is float [rows], the probability of each answer, `right` whether it is right. Empty for less rows
    than tell anything.
    """
    import numpy as np

    if len(sure) < FEWEST_ANSWERS:
        return ()
    order = np.argsort(-sure, kind="stable")
    sorted_by, hits = sure[order], np.cumsum(np.asarray(right, dtype=np.float64)[order])
    # A threshold lets all answers through that are as probable as it is.
    ends = np.flatnonzero(np.r_[sorted_by[1:] != sorted_by[:-1], True])
    ends = ends[ends + 1 >= FEWEST_ANSWERS][::-1]
    found: list[Threshold] = []
    for end in ends.tolist():
        precision = float(hits[end] / (end + 1))
        if not found or precision > found[-1].precision:
            below = float(sorted_by[end]) if found else 0.0
            found.append(Threshold(below=below, precision=precision, answered=(end + 1) / len(sure)))
    kept = np.unique(np.linspace(0, len(found) - 1, min(len(found), _MOST)).round().astype(int))
    return tuple(found[number] for number in kept.tolist())


def threshold_for(precision: float, known: Sequence[Threshold]) -> float:
    """The lowest of the `known` thresholds with this precision; where none has it, the nearest one.

    0, which holds nothing back, where none is known.
    """
    reached = (each.below for each in known if each.precision >= precision)
    return next(reached, known[-1].below if known else 0.0)
