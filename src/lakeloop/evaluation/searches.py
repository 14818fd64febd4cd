"""Where the lines and dots of a search's figures lie, in the units of an SVG view box."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lakeloop.measures.base import shown
from lakeloop.search.found import SearchFound, TrialFound, ranked, said

WIDTH, HEIGHT = 640.0, 240.0
MARGIN = 56.0
"""Left of the axis, for its numbers."""
ROOM = 30.0
"""Above and below, for names."""
_DECADES = 100.0
"""Values that differ by so much are drawn by their order of magnitude."""
_MOST_NAMES = 8
MOST_TRIALS = 100
"""Of more trials the best are told one by one; all of them are dots of the history."""


@dataclass(frozen=True)
class Axis:
    """One key, or the score, of all trials: where a value of it is."""

    name: str
    values: tuple[Any, ...]
    """Those that occur."""

    @cached_property
    def _numbers(self) -> bool:
        return all(isinstance(value, int | float) and not isinstance(value, bool) for value in self.values)

    @cached_property
    def _names(self) -> list[str]:
        return sorted({said(value) for value in self.values})

    @cached_property
    def _log(self) -> bool:
        return self._numbers and min(self.values) > 0 and max(self.values) / min(self.values) >= _DECADES

    @cached_property
    def _ends(self) -> tuple[float, float]:
        low, high = self._scaled(min(self.values)), self._scaled(max(self.values))
        return (low - 0.5, high + 0.5) if low == high else (low, high)

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self._log else float(value)

    def y(self, value: Any) -> float:
        """Where `value` is, from the top of the drawing."""
        if self._numbers:
            low, high = self._ends
            share = (self._scaled(value) - low) / (high - low)
        else:
            share = (self._names.index(said(value)) + 0.5) / len(self._names)
        return round(ROOM + (HEIGHT - 2 * ROOM) * (1 - share), 1)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Where a value is written, and how."""
        if not self._numbers:
            return [(self.y(name), name) for name in self._names[:_MOST_NAMES]]
        ends = sorted({min(self.values), max(self.values)})
        return [(self.y(end), said(end)) for end in ends]


@dataclass(frozen=True)
class SearchFigures:
    """A search, ready to be drawn."""

    found: SearchFound

    @cached_property
    def whole(self) -> list[TrialFound]:
        """The trials with a score of the whole training, in their order."""
        return [t for t in self.found.trials if t.state == "complete" and t.score is not None]

    @cached_property
    def shown(self) -> list[TrialFound]:
        """The trials that are told one by one, in their order: those with the best scores, and those kept."""
        if len(self.found.trials) <= MOST_TRIALS:
            return list(self.found.trials)
        best = ranked(self.found.trials, higher_is_better=self.found.higher_is_better)[:MOST_TRIALS]
        numbers = {trial.number for trial in best} | {model.trial for model in self.found.kept}
        return [trial for trial in self.found.trials if trial.number in numbers]

    @cached_property
    def keys(self) -> list[str]:
        return list(dict.fromkeys(key for trial in self.found.trials for key in trial.values))

    @cached_property
    def scores(self) -> Axis:
        """Of the history: of all trials that have a score, and of the cheaper candidate."""
        bar = (self.found.bar.score,) if self.found.bar else ()
        return Axis(self.found.metric, (*(t.score for t in self.found.trials if t.score is not None), *bar))

    def x(self, number: int) -> float:
        """Where a trial is in the history, from the left edge."""
        count = max(1, len(self.found.trials) - 1)
        return round(MARGIN + (WIDTH - MARGIN - 12) * number / count, 1)

    @property
    def dots(self) -> list[tuple[float, float, str, str]]:
        """Place, state and words of each trial with a score; words of those in `shown` alone."""
        told = {trial.number for trial in self.shown}
        return [
            (
                self.x(at),
                self.scores.y(trial.score),
                trial.state,
                trial.sentence if trial.number in told else "",
            )
            for at, trial in enumerate(self.found.trials)
            if trial.score is not None and trial.state in ("complete", "pruned")
        ]

    @property
    def best_so_far(self) -> str:
        """Points of the line of the best score, from trial to trial."""
        points: list[tuple[float, float]] = []
        best: float | None = None
        better = max if self.found.higher_is_better else min
        for at, trial in enumerate(self.found.trials):
            if trial.state == "complete" and trial.score is not None:
                before, best = best, trial.score if best is None else better(best, trial.score)
                if before is not None and before != best:
                    points.append((self.x(at), self.scores.y(before)))
            if best is not None:
                points.append((self.x(at), self.scores.y(best)))
        return " ".join(f"{x},{y}" for x, y in points)

    @property
    def bars(self) -> list[tuple[str, float, str]]:
        """Key, length in units of the drawing and words of each share of importance."""
        return [
            (key, round(300 * share, 1), f"{100 * share:.0f} %")
            for key, share in self.found.importance.items()
        ]

    @cached_property
    def axes(self) -> list[tuple[float, Axis]]:
        """The axes of the parallel coordinates: where each is, the keys first and the score last."""
        columns = [Axis(key, tuple(t.values[key] for t in self.whole)) for key in self.keys]
        columns.append(Axis(self.found.metric, tuple(t.score for t in self.whole)))
        apart = (WIDTH - 2 * MARGIN) / max(1, len(columns) - 1)
        return [(round(MARGIN + apart * at, 1), axis) for at, axis in enumerate(columns)]

    @property
    def lines(self) -> list[tuple[str, str, str]]:
        """Points, kind and words of the line of each whole trial in `shown`, the best last: it lies above."""
        kept = {model.trial for model in self.found.kept}
        sign = 1 if self.found.higher_is_better else -1
        told = {trial.number for trial in self.shown}
        whole = [trial for trial in self.whole if trial.number in told]
        drawn: Sequence[TrialFound] = sorted(whole, key=lambda t: sign * (t.score or 0.0))
        found = []
        for trial in drawn:
            values = [*(trial.values[key] for key in self.keys), trial.score]
            points = [f"{x},{axis.y(value)}" for (x, axis), value in zip(self.axes, values, strict=True)]
            found.append((" ".join(points), "kept" if trial.number in kept else "other", trial.sentence))
        return found

    def cells(self, trial: TrialFound) -> list[str]:
        """The row of a trial in the table."""
        names = {model.trial: model.name for model in self.found.kept}
        return [
            str(trial.number),
            trial.state,
            "" if trial.score is None else shown(trial.score),
            *(said(trial.values.get(key, "")) for key in self.keys),
            f"{trial.cost.seconds:.1f}",
            f"{trial.cost.cpu_seconds:.1f}",
            names.get(trial.number, trial.reason),
        ]
