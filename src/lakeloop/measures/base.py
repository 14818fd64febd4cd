"""What a metric is: a name, a direction, a range, what is good enough by default, and a formula."""

from __future__ import annotations

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

    @property
    def rows(self) -> int:
        return len(self.truth)

    def take(self, rows: NDArray[Any]) -> Outcomes:
        """Those of some rows: int [n], their places, each as often as it is named; or bool [rows]."""
        return Outcomes(self.truth[rows], self.answer[rows], self.outputs[rows])


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
    of_right_rows: bool = False
    """The score is the share of the rows that are right, which an exact test compares."""
    resamples: int = 1000
    """How often rows are drawn anew for an interval of it: fewer where one score takes long."""

    @property
    def higher_is_better(self) -> bool:
        return self.better == "higher"

    @property
    def bound(self) -> str:
        """For people: on which side of a limit a good score lies."""
        return "at least" if self.higher_is_better else "at most"

    def advantage(self, score: float, other: float) -> float:
        """How much better `score` is than `other`; negative when it is worse."""
        return score - other if self.higher_is_better else other - score

    def allowed(self, score: float, slack: float) -> float:
        """How much worse than `score` another may be, in the unit of the score."""
        return slack * abs(score) if self.relative else slack


_DIGITS = 5


def shown(score: float) -> str:
    """A score for people: four decimals, or five digits where four decimals show too few or too many."""
    size = abs(score)
    if size == 0 or 1e-3 <= size < 1e3 or not math.isfinite(score):
        return f"{score:.4f}"
    return f"{score:.{max(0, _DIGITS - 1 - math.floor(math.log10(size)))}f}"
