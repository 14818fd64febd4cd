"""What a search found: its trials and what became of them, as JSON in the lake. Light; no Optuna."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar, Literal

from pydantic import Field

from lakeloop.measures.base import shown
from lakeloop.records import Formatted, Frozen

SEARCH = "search.json"
"""The file, in a folder of the lake that is named by its digest."""

State = Literal["running", "complete", "pruned", "failed"]


class Cost(Frozen):
    """Of one trial, or of all."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    gpu_seconds: float = 0.0
    energy_joules: float | None = None
    peak_memory_mb: float | None = None

    @classmethod
    def total(cls, costs: Sequence[Cost]) -> Cost:
        energies = [each.energy_joules for each in costs if each.energy_joules is not None]
        return cls(
            seconds=round(sum(each.seconds for each in costs), 3),
            cpu_seconds=round(sum(each.cpu_seconds for each in costs), 3),
            gpu_seconds=round(sum(each.gpu_seconds for each in costs), 3),
            energy_joules=sum(energies) if energies else None,
            peak_memory_mb=max((each.peak_memory_mb or 0.0 for each in costs), default=0.0) or None,
        )


class TrialFound(Frozen):
    """One trial."""

    number: int
    slot: int | None = None
    """Which of the places of the search it was made for."""
    state: State
    values: dict[str, Any]
    """Key of section `train` -> what was tried."""
    score: float | None = None
    """By the deciding metric on the validation rows; of one that was ended early, that of its last epoch."""
    epochs: tuple[float, ...] = ()
    """The score after each epoch."""
    reason: str = ""
    """Why it failed, or was not trained."""
    folder: str = ""
    """Name of its job's folder, where it was made."""
    cost: Cost = Cost()
    begun: datetime | None = None
    ended: datetime | None = None

    @property
    def done(self) -> bool:
        """Whether it counts as one of the trials that were asked for."""
        return self.state in ("complete", "pruned")

    @property
    def sentence(self) -> str:
        """For people: what was tried and what became of it."""
        tried = ", ".join(f"{key} {said(value)}" for key, value in self.values.items())
        score = "" if self.score is None else f" with {shown(self.score)}"
        why = f" ({self.reason})" if self.reason else ""
        return f"trial {self.number}, {tried}: {_TOLD[self.state]}{score}{why}"


class Bar(Frozen):
    """What a cheaper candidate has reached on the same validation rows."""

    name: str
    score: float


class Kept(Frozen):
    """A model that a search leaves."""

    name: str
    trial: int
    digest: str
    artifact: str
    """Its folder in the lake."""
    metrics: dict[str, float] = Field(default_factory=dict)


class SearchFound(Formatted):
    """A whole search."""

    newest_format: ClassVar[int] = 1

    format: int = 1
    candidate: str
    metric: str
    higher_is_better: bool
    sampler: str
    asked: int
    """Trials that the loop file asks for."""
    ended: str = ""
    """Why it ended before that; empty when it did not."""
    trials: tuple[TrialFound, ...]
    bar: Bar | None = None
    """What a cheaper candidate has reached."""
    shared: Cost = Cost()
    """What processes that carried out many trials have cost beside these."""
    kept: tuple[Kept, ...] = ()
    """The best first."""
    importance: dict[str, float] = Field(default_factory=dict)
    """Key -> its share of what makes scores differ (fANOVA), the largest first; empty with too few trials."""

    @property
    def best(self) -> TrialFound | None:
        return next(iter(ranked(self.trials, higher_is_better=self.higher_is_better)), None)

    @property
    def sentence(self) -> str:
        """For people: how many trials of each kind, and what the best one has."""
        counts = {state: sum(trial.state == state for trial in self.trials) for state in _TOLD}
        kinds = ", ".join(f"{count} {_TOLD[state]}" for state, count in counts.items() if count)
        if (best := self.best) is None:
            return f"{kinds or 'no trial'}; none has a score"
        values = ", ".join(f"{key} {said(value)}" for key, value in best.values.items())
        return f"{kinds}; the best is trial {best.number} with {shown(best.score or 0.0)}: {values}"


_TOLD: dict[State, str] = {
    "complete": "whole",
    "pruned": "ended early",
    "failed": "failed",
    "running": "at work",
}


def said(value: Any) -> str:
    """A value of a key, for people."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def ranked(trials: Sequence[TrialFound], *, higher_is_better: bool) -> list[TrialFound]:
    """The whole trials, the best first, of equal ones the earliest; of equal values one."""
    whole = [trial for trial in trials if trial.state == "complete" and trial.score is not None]
    sign = -1.0 if higher_is_better else 1.0
    whole.sort(key=lambda trial: (sign * (trial.score or 0.0), trial.number))
    first: dict[str, TrialFound] = {}
    for trial in whole:
        first.setdefault(repr(sorted(trial.values.items())), trial)
    return list(first.values())
