"""What a metric is: a name, a direction, a range, what is good enough by default, and a formula."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Outcomes:
    """What is true and what was answered, row by row; what the numbers mean is the task's."""

    truth: NDArray[Any]
    """[rows]"""
    answer: NDArray[Any]
    """[rows], in the same terms."""
    outputs: NDArray[Any]
    """float [rows, width]: what the answers were chosen from, such as probabilities."""
    losses: NDArray[Any] | None = None
    """Of models that write: float64 [rows, 2], the summed loss of the tokens of each right answer, in nats,
    and their number; None where it was not asked for."""

    @property
    def rows(self) -> int:
        return len(self.truth)

    def take(self, rows: NDArray[Any]) -> Outcomes:
        """Those of some rows: int [n], their places, each as often as it is named; or bool [rows]."""
        losses = None if self.losses is None else self.losses[rows]
        return Outcomes(self.truth[rows], self.answer[rows], self.outputs[rows], losses)


@dataclass(frozen=True)
class Draws:
    """How a score follows from how often each row was drawn, for many draws at once."""

    prepare: Callable[[Outcomes], Callable[[NDArray[Any]], NDArray[Any]]]
    """Of outcomes, what makes numbers [draws, n] of weights, float64 [draws, rows]. It is asked once for all
    metrics that have the same one."""
    score: Callable[[NDArray[Any]], NDArray[Any]]
    """From these numbers to float64 [draws]; NaN where a draw has no score."""
    most: Callable[[Outcomes], int] | None = None
    """Draws that are made at most, where one takes long."""
    alike: Callable[[Outcomes], NDArray[Any]] | None = None
    """Of outcomes, int [rows]: rows with the same number are one and the same to the score; None: no two."""


@dataclass(frozen=True)
class MetricSpec:
    """One score."""

    name: str
    """As loop files and records have it."""
    title: str
    """For people."""
    compute: Callable[[Outcomes], float]
    better: Literal["higher", "lower"] = "higher"
    lowest: float | None = 0.0
    highest: float | None = 1.0
    """Range of the score; None where it has no end."""
    bar: float | None = None
    """The worst score that a gate lets through unless the loop file says another; None: any."""
    slack: float = 0.01
    """How much worse than the champion's a score may be, unless the loop file says another."""
    relative: bool = False
    """The slack is a share of the champion's score: the score has the unit of the target."""
    unit: str = ""
    """Empty for a pure number."""
    counts: bool = False
    """The score is a number of things, and whole."""
    evaluation_only: bool = False
    """It is computed for evaluations alone: trainings neither compute it nor choose by it."""
    undefined: Callable[[Outcomes], str] | None = None
    """Why rows with this truth have no such score; empty where they have one. It asks for the truth alone, so
    that all models have the same scores."""
    draws: Draws | None = None
    """Fast way to the scores of many draws of the rows; None: each is computed anew."""
    of_right_rows: bool = False
    """The score is the share of the rows that are right, which an exact test compares."""

    @property
    def meaning(self) -> str:
        """What it says, in a sentence."""
        said = (inspect.getdoc(self.compute) or "").split("\n\n")[0]
        return " ".join(said.split())

    @property
    def range(self) -> str:
        """For people: `0..1`, `at least 0`."""
        if self.lowest is not None and self.highest is not None:
            return f"{self.lowest:g}..{self.highest:g}"
        if self.lowest is not None:
            return f"at least {self.lowest:g}"
        return "any number" if self.highest is None else f"at most {self.highest:g}"

    @property
    def higher_is_better(self) -> bool:
        return self.better == "higher"

    @property
    def bound(self) -> str:
        """For people: on which side of a limit a good score lies."""
        return "at least" if self.higher_is_better else "at most"

    def told(self, score: float) -> str:
        """A score of it for people: a whole number where it counts, see `shown`."""
        return f"{score:.0f}" if self.counts and float(score).is_integer() else shown(score)

    def advantage(self, score: float, other: float) -> float:
        """How much better `score` is than `other`; negative when it is worse."""
        return score - other if self.higher_is_better else other - score

    def allowed(self, score: float, slack: float) -> float:
        """How much worse than `score` another may be, in the unit of the score."""
        return slack * abs(score) if self.relative else slack


_DIGITS = 5
_SMALLEST, _LARGEST = 1e-9, 1e15
"""Numbers beyond are written with a power of ten: nobody counts zeros."""


def shown(score: float) -> str:
    """A score for people: four decimals, or five digits where four decimals show too few or too many."""
    size = abs(score)
    if 0 < size < _SMALLEST or _LARGEST <= size < math.inf:
        return f"{score:.{_DIGITS - 1}g}"
    if size == 0 or 1e-3 <= size < 1e3 or not math.isfinite(score):
        return f"{score:.4f}"
    return f"{score:.{max(0, _DIGITS - 1 - math.floor(math.log10(size)))}f}"


def shown_with(score: float, interval: tuple[float, float] | None) -> str:
    """A score and where it would lie with other rows, for people: `0.9266 [0.9083, 0.9430]`."""
    return shown(score) if interval is None else f"{shown(score)} {shown_interval(interval)}"


def shown_interval(interval: tuple[float, float]) -> str:
    """Where a score would lie with other rows, for people: `[0.9083, 0.9430]`."""
    return f"[{', '.join(map(shown, interval))}]"
