"""Where the dots and ticks of a scatter lie: a square with equal axes, in the units of an SVG view box."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from lakeloop.tasks.base import Grid

SIDE = 360.0
"""Side of the square in which dots lie."""
MARGIN = 52.0
"""Left of it and below it, for the numbers."""
_TICKS = 5


@dataclass(frozen=True)
class Scatter:
    """A grid of pairs of numbers, ready to be drawn; both axes have the same range."""

    across: str
    """Title of the first column."""
    up: str
    """Title of the second column."""
    points: tuple[tuple[float, float], ...]
    low: float
    high: float

    @classmethod
    def of(cls, grid: Grid) -> Scatter:
        """The scatter of `grid`, whose rows begin with two numbers, with some room around the dots."""
        points = tuple((float(str(row[0])), float(str(row[1]))) for row in grid.rows)
        values = [value for point in points for value in point] or [0.0]
        # Of one large number half of one more or less is nothing.
        room = (max(values) - min(values)) * 0.04 or max(0.5, abs(max(values)) * 0.05)
        across, up = grid.columns[:2]
        return cls(across, up, points, min(values) - room, max(values) + room)

    @property
    def width(self) -> float:
        return MARGIN + SIDE + 8

    @property
    def height(self) -> float:
        return SIDE + MARGIN

    @property
    def left(self) -> float:
        return MARGIN

    @property
    def bottom(self) -> float:
        return SIDE

    def x(self, value: float) -> float:
        """Where `value` is on the horizontal axis, from the left edge of the drawing."""
        return round(MARGIN + SIDE * self._share(value), 1)

    def y(self, value: float) -> float:
        """Where `value` is on the vertical axis, from the top of the drawing."""
        return round(SIDE * (1 - self._share(value)), 1)

    @property
    def dots(self) -> Iterator[tuple[float, float]]:
        """Centre of each dot."""
        return ((self.x(first), self.y(second)) for first, second in self.points)

    @property
    def ticks(self) -> Iterator[tuple[float, str]]:
        """Round numbers on both axes, and how they are written."""
        step = _round_step((self.high - self.low) / _TICKS)
        decimals = max(0, -math.floor(math.log10(step)))
        number = math.ceil(self.low / step)
        while number * step <= self.high:
            yield number * step, f"{number * step:.{decimals}f}"
            number += 1

    def _share(self, value: float) -> float:
        return (value - self.low) / (self.high - self.low)


def _round_step(least: float) -> float:
    """1, 2 or 5 times a power of ten: the first that is at least `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next((power * times for times in (1, 2, 5) if power * times >= least), power * 10)
