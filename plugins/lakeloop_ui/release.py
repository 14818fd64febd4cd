"""The values of "what is being rolled out", on the pages of a loop and of a version.

One place for it: template `_release.html.j2`. More states of a version than champion come in here.
"""

from __future__ import annotations

from dataclasses import dataclass

from lakeloop.registry.history import History, Move
from lakeloop.stages.frame.status import ChampionStatus

_SHOWN_MOVES = 20


@dataclass(frozen=True)
class Release:
    """Which version answers, how it came to that, and which comes back when it goes."""

    champion: ChampionStatus | None
    previous: str
    """The version that a rollback goes back to; empty where there is none."""
    moves: tuple[Move, ...]
    """Of the champion, the newest first."""


def release_of(history: History, champion: ChampionStatus | None) -> Release:
    """The release of a loop."""
    moves = tuple(move for move in reversed(history.moves) if move.alias == "champion")
    previous = history.previous
    return Release(champion, previous.name if previous else "", moves[:_SHOWN_MOVES])
