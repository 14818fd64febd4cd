"""The values of "what is being rolled out", on the pages of a loop and of a version.

One place for it: template `_release.html.j2`.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from lakeloop.errors import LakeloopError
from lakeloop.monitoring.canary import SignalFound
from lakeloop.registry.history import History, Move
from lakeloop.registry.trials import TrialEnd
from lakeloop.stages.frame.session import StageContext
from lakeloop.stages.frame.status import ChampionStatus
from lakeloop.stages.frame.tried import TrialStatus
from lakeloop.stages.release.standing import title_of, trial_standing

log = logging.getLogger(__name__)

_SHOWN_MOVES = 20
_SHOWN_ENDS = 5


@dataclass(frozen=True)
class Tried:
    """The version beside the champion."""

    trial: TrialStatus
    where: str
    """In which step it is, for people."""
    reason: str
    """What it waits for, or what follows; why that cannot be told, where it cannot."""
    signals: tuple[SignalFound, ...] = ()
    """What is known of its requests."""


@dataclass(frozen=True)
class Release:
    """Which version answers, how it came to that, which comes back when it goes, and which is tried."""

    champion: ChampionStatus | None
    previous: str
    """The version that a rollback goes back to; empty where there is none."""
    moves: tuple[Move, ...]
    """Of the champion, the newest first."""
    tried: Tried | None = None
    ends: tuple[TrialEnd, ...] = ()
    """Of versions that did not become champion, the newest first."""


def release_of(
    context: StageContext, history: History, champion: ChampionStatus | None, trial: TrialStatus | None
) -> Release:
    """The release of a loop."""
    moves = tuple(move for move in reversed(history.moves) if move.alias == "champion")
    previous = history.previous
    return Release(
        champion,
        previous.name if previous else "",
        moves[:_SHOWN_MOVES],
        _tried(context, history, trial) if trial else None,
        history.trial_ends[::-1][:_SHOWN_ENDS],
    )


def _tried(context: StageContext, history: History, trial: TrialStatus) -> Tried:
    where = title_of(history.trials[-1])
    try:
        found = trial_standing(context)
    except LakeloopError as error:
        log.warning("trial of loop %s", context.loop.name, exc_info=True)
        return Tried(trial, where, str(error))
    if found is None:  # it ended while this page was made
        return Tried(trial, where, "it has ended by now")
    return Tried(trial, title_of(found.trial), found.verdict.reason, found.verdict.signals)
