"""The leader beside another model, ready to be shown: a sentence, an interval on a line, and the slices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from lakeloop.evidence import Comparison, ModelEvidence, SliceChange
from lakeloop.gate.rules.reason import in_words, shown_better
from lakeloop.gate.rules.slices import SIGNIFICANCE_OF_SLICES, is_lost
from lakeloop.measures.base import shown
from lakeloop.measures.paired import SIGNIFICANCE
from lakeloop.spec.loop import LoopSpec

WIDTH = 340.0
MARGIN = 14.0
"""Left and right of the line."""
MOST_SLICES = 50
_MINUS = "\N{MINUS SIGN}"
_ROOM = 0.1
"""Share of the line left and right of what is marked on it."""
_NEAR_THE_EDGE = 70.0
"""A text so near the edge of the drawing begins or ends there, rather than having its middle there."""


class Mark(NamedTuple):
    """A value on the line, and where its words stand."""

    x: float
    anchor: str
    words: str


@dataclass(frozen=True)
class Line:
    """Where the numbers of a comparison are on a line, in the units of an SVG view box `WIDTH` wide."""

    low: float
    middle: float
    high: float
    allowed: float
    """How much worse the gate lets through."""

    @property
    def _ends(self) -> tuple[float, float]:
        ends = (min(self.low, -self.allowed, 0.0), max(self.high, 0.0))
        room = (ends[1] - ends[0]) * _ROOM or 0.5
        return ends[0] - room, ends[1] + room

    def x(self, value: float) -> float:
        """Where `value` is, from the left edge."""
        low, high = self._ends
        return round(MARGIN + (WIDTH - 2 * MARGIN) * (value - low) / (high - low), 1)

    def outward(self, value: float) -> str:
        """Anchor of words at the lower end: left of it where there is room."""
        return "end" if self.x(value) > _NEAR_THE_EDGE else "start"

    def inward(self, value: float) -> str:
        """Anchor of words at the upper end: right of it where there is room."""
        return "start" if self.x(value) < WIDTH - _NEAR_THE_EDGE else "end"

    def mark(self, value: float, words: str = "") -> Mark:
        """Where `value` is, with its words, which stay within the drawing."""
        at = self.x(value)
        if at < _NEAR_THE_EDGE:
            return Mark(at, "start", words)
        return Mark(at, "end" if at > WIDTH - _NEAR_THE_EDGE else "middle", words)


@dataclass(frozen=True)
class Beside:
    """The leader beside one other model."""

    found: Comparison
    other: ModelEvidence
    loop: LoopSpec

    @property
    def allowed(self) -> float:
        """How much worse the gate lets through, in the unit of the score."""
        metric = self.loop.metric
        return metric.allowed(self.other.scores[metric.name], self.loop.slack)

    @property
    def line(self) -> Line:
        return Line(self.found.low, self.found.advantage, self.found.high, self.allowed)

    @property
    def sentence(self) -> str:
        """What was found, and what it means."""
        metric = self.loop.metric
        told = f"By {metric.title} the {self.found.candidate} is {in_words(self.found)}."
        return f"{told} {self._verdict}"

    @property
    def _verdict(self) -> str:
        name = self.other.title
        if shown_better(self.found):
            return f"That it is better than the {name} is more than chance."
        if self.found.p_worse <= SIGNIFICANCE:
            return f"That it is worse than the {name} is more than chance."
        return f"That is not shown to be more than chance: these rows do not tell it from the {name}."

    @property
    def slices(self) -> Iterator[tuple[SliceChange, bool]]:
        """The slices with the largest losses, the largest first, and whether the gate takes each for lost."""
        most = self.loop.gate.max_slice_regression
        for each in sorted(self.found.slices, key=lambda each: -each.loss)[:MOST_SLICES]:
            yield each, most < 1 and is_lost(each, most)

    @property
    def slices_sentence(self) -> str:
        """How many slices there are, and how many of them are lost."""
        count, most = len(self.found.slices), self.loop.gate.max_slice_regression
        lost = sum(most < 1 and is_lost(each, most) for each in self.found.slices)
        told = "none is lost" if not lost else f"{lost} {'is' if lost == 1 else 'are'} lost"
        cut = f" The {MOST_SLICES} with the largest losses are shown." if count > MOST_SLICES else ""
        return f"Of {count} slices of the test rows {told}.{cut}"

    @property
    def slices_meaning(self) -> str:
        """What a slice is, and when it is lost."""
        most = self.loop.gate.max_slice_regression
        limit = (
            f"Lost is one that loses more than {100 * most:.3g} % of its rows where that is more than chance"
            f" (p at most {SIGNIFICANCE_OF_SLICES:g}, corrected for the number of slices)."
            if most < 1
            else "The loop file lets any slice be lost."
        )
        return (
            "A slice is a part that is looked at by itself: a right answer, a value of a column, a third by"
            f" length. Its lost share is rows that became worse, less those that became better. {limit}"
        )


def shown_signed(value: float) -> str:
    """A difference of scores for people, with its sign."""
    return f"{_MINUS if value < 0 else '+'}{shown(abs(value))}"
