"""Lines as pages draw them, without a script: numbers become places in an SVG. Pure geometry."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from lakeloop.measures.base import shown

WIDTH, HEIGHT = 360, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 10, 24
MOST_POINTS = 300
"""Of a line: more than its pixels."""
_LINE_POINTS = 40
"""A line with more points than these has no dots."""


@dataclass(frozen=True)
class Series:
    """One line."""

    name: str
    points: tuple[tuple[float, float], ...]
    """x and y, in the order in which they are joined."""


@dataclass(frozen=True)
class Tick:
    place: float
    """In units of the drawing."""
    words: str
    anchor: str = "middle"


@dataclass(frozen=True)
class Line:
    """A line, placed."""

    name: str
    number: int
    """Which of the colours it has."""
    path: str
    dots: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Chart:
    """Lines on one ground."""

    title: str
    words: str
    """What it shows, for who cannot see it."""
    lines: tuple[Line, ...]
    x_ticks: tuple[Tick, ...] = ()
    y_ticks: tuple[Tick, ...] = ()
    width: int = WIDTH
    height: int = HEIGHT
    left: int = field(default=_LEFT, repr=False)

    @property
    def bottom(self) -> int:
        return self.height - _BOTTOM


def draw(title: str, series: Sequence[Series], x_names: Sequence[str] = ()) -> Chart | None:
    """The chart of `series`; None where no line has a point that is a number.

    `x_names` are what is written below the places 0, 1, 2 ...; without them x is a number.
    """
    thinned = [Series(one.name, tuple(_thin([p for p in one.points if _finite(p)]))) for one in series]
    kept = [one for one in thinned if one.points]
    if not kept:
        return None
    xs = [x for one in kept for x, _ in one.points]
    ys = [y for one in kept for _, y in one.points]
    across = _Axis(min(xs), max(xs), _LEFT, WIDTH - _RIGHT)
    low, high = _padded(min(ys), max(ys))
    upward = _Axis(low, high, HEIGHT - _BOTTOM, _TOP)
    return Chart(
        title=title,
        words="; ".join(_in_words(one) for one in kept),
        lines=tuple(_line(number, one, across, upward) for number, one in enumerate(kept)),
        x_ticks=tuple(_named(x_names, across) if x_names else _numbers(across)),
        y_ticks=tuple(_ticks(_nice(low, high, 4), high - low, upward)),
    )


SPARK_WIDTH, SPARK_HEIGHT = 140, 36


@dataclass(frozen=True)
class Spark:
    """A line so small that it has no axes."""

    path: str
    last: tuple[float, float]
    words: str


def spark(values: Sequence[float]) -> Spark | None:
    """A line through `values`, oldest first; None for fewer than two."""
    kept = [value for value in values if math.isfinite(value)]
    if len(kept) < 2:
        return None
    across = _Axis(0, len(kept) - 1, 4, SPARK_WIDTH - 5)
    upward = _Axis(*_padded(min(kept), max(kept)), SPARK_HEIGHT - 5, 5)
    places = [(across.at(number), upward.at(value)) for number, value in enumerate(kept)]
    words = f"{len(kept)} evaluations, from {shown(kept[0])} to {shown(kept[-1])}"
    return Spark(_path(places), places[-1], words)


@dataclass(frozen=True)
class _Axis:
    low: float
    high: float
    first: float
    last: float

    def at(self, value: float) -> float:
        """Where `value` is drawn; in the middle where there is but one."""
        if self.high == self.low:
            return round((self.first + self.last) / 2, 1)
        share = (value - self.low) / (self.high - self.low)
        return round(self.first + share * (self.last - self.first), 1)


def _line(number: int, series: Series, across: _Axis, upward: _Axis) -> Line:
    places = tuple((across.at(x), upward.at(y)) for x, y in series.points)
    return Line(series.name, number, _path(places), places if len(places) <= _LINE_POINTS else ())


def _path(places: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x} {y}" for x, y in places)


def _finite(point: tuple[float, float]) -> bool:
    return all(map(math.isfinite, point))


def _thin(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Of many points as many as can be seen: the first, the last, and the mean of each stretch between."""
    if len(points) <= MOST_POINTS:
        return points
    size = math.ceil((len(points) - 2) / (MOST_POINTS - 2))
    inner = points[1:-1]
    stretches = (inner[at : at + size] for at in range(0, len(inner), size))
    means = [(part[len(part) // 2][0], sum(y for _, y in part) / len(part)) for part in stretches]
    return [points[0], *means, points[-1]]


def _padded(low: float, high: float) -> tuple[float, float]:
    room = (high - low) * 0.08 or abs(high) * 0.05 or 1.0
    return low - room, high + room


def _nice(low: float, high: float, most: int) -> list[float]:
    """Round numbers between `low` and `high`, at most about `most`."""
    if high == low:
        return [low]
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw)
    first = math.ceil(low / step)
    return [number * step for number in range(first, math.floor(high / step) + 1)]


def _numbers(axis: _Axis) -> Iterator[Tick]:
    yield from _ticks(_nice(axis.low, axis.high, 5), axis.high - axis.low, axis)


def _ticks(values: Sequence[float], span: float, axis: _Axis) -> Iterator[Tick]:
    """A tick for each value, with as many digits as tell it from the next: of 0.99995 it is not 1."""
    largest = max(map(abs, values), default=0.0)
    needed = math.ceil(math.log10(largest / span)) + 2 if span and largest else 0
    for value in values:
        yield Tick(axis.at(value), _short(value, max(_DIGITS, min(needed, _MOST_DIGITS))))


def _named(names: Sequence[str], axis: _Axis) -> Iterator[Tick]:
    """The first, the last, and the one in the middle where there is room."""
    last = len(names) - 1
    if last == 0:
        yield Tick(axis.at(0), names[0])
        return
    yield Tick(axis.at(0), names[0], "start")
    if last > 3:
        yield Tick(axis.at(last // 2), names[last // 2])
    yield Tick(axis.at(last), names[last], "end")


_DIGITS, _MOST_DIGITS = 4, 15


def _short(value: float, digits: int) -> str:
    if abs(value) >= 1e4:
        digits = max(digits, 6)
        return f"{value / 1e3:.{digits}g}k" if abs(value) < 1e6 else f"{value / 1e6:.{digits}g}M"
    return f"{value:.{digits}g}"


def _in_words(series: Series) -> str:
    ys = [y for _, y in series.points]
    if len(ys) == 1:
        return f"{series.name} {shown(ys[0])}"
    return f"{series.name} from {shown(ys[0])} to {shown(ys[-1])}, {len(ys)} points"
