"""Small drawings for the page of a day: a number on the days before it, its usual bounds, and on the day."""

from __future__ import annotations

from markupsafe import Markup

from lakeloop.quality.history import Compared

_WIDTH, _HEIGHT, _EDGE = 132.0, 30.0, 4.0
_BEYOND = 3.0
"""Bounds are drawn up to so many times the largest value: far ones would make all values one line."""


def spark(one: Compared) -> Markup:
    """An SVG of its own, which says the same in words to who does not see it."""
    there = [(place, value) for place, value in enumerate(one.before) if value is not None]
    values = [one.value, *(value for _, value in there)]
    largest = max(values)
    high = min(one.high, _BEYOND * largest) if largest > 0 else one.high
    low, top = min(*values, one.low), max(*values, high)
    span = (top - low) or 1.0
    step = (_WIDTH - 2 * _EDGE) / max(len(one.before), 1)

    def point(place: int, value: float) -> tuple[float, float]:
        return _EDGE + place * step, _HEIGHT - _EDGE - (value - low) / span * (_HEIGHT - 2 * _EDGE)

    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in (point(*each) for each in there))
    x, y = point(len(one.before), one.value)
    above, below = point(0, high)[1], point(0, one.low)[1]
    seen = [value for _, value in there]
    words = (
        f"{len(there)} days before: {one.say(min(seen))} to {one.say(max(seen))}" if seen else "no day before"
    )
    return Markup(
        '<svg class="spark" role="img" viewBox="0 0 {width:.0f} {height:.0f}">'
        "<title>{words}; this day {now}</title>"
        '<rect x="0" y="{above:.1f}" width="{width:.0f}" height="{band:.1f}"/>'
        '<polyline points="{line}"/><circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="3"/></svg>'
    ).format(
        width=_WIDTH,
        height=_HEIGHT,
        words=words,
        now=one.say(one.value),
        above=above,
        band=max(below - above, 1.0),
        line=line,
        kind="odd" if one.unusual else "usual",
        x=x,
        y=y,
    )
