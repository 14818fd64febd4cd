"""The version that is tried beside the champion, or was last, as `status` and the pages show it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from lakeloop.records import Frozen

if TYPE_CHECKING:
    from lakeloop.registry.history import History


class TrialStatus(Frozen):
    """A version that is tried beside the champion."""

    version: str
    phase: str
    share: float
    """Of the requests that it answers."""
    since: datetime
    over: str
    """The champion."""
    reason: str
    """Why it was let in, or went on."""

    @property
    def where(self) -> str:
        """For people."""
        place = "in the shadow" if self.phase == "shadow" else f"canary of {self.share:.0%} of the requests"
        return f"{self.version} is tried beside {self.over}, {place}, since {self.since:%Y-%m-%d %H:%M}"


def trial_status(history: History) -> TrialStatus | None:
    """The trial that goes on; None when there is none."""
    trial = history.trial
    if trial is None:
        return None
    told = trial.model_dump(include={"version", "phase", "share", "reason"})
    return TrialStatus(**told, since=trial.began_at, over=trial.over or "")


def ended_trial(history: History) -> str:
    """How the newest trial ended, a sentence; empty where it goes on, or the champion moved since."""
    last, move = history.trial_ends[-1:], history.last_move("champion")
    if not last or history.trial or (move and move.sequence > last[0].sequence):
        return ""
    end = last[0]
    by = f" by {end.by}" if end.by else ""
    return f"that of {end.version} ended {end.ended_at:%Y-%m-%d %H:%M}{by}: {end.reason}"
