"""What a kind of thing on the disk is, and what it looks at."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lakeloop.disk.extent import Extent
from lakeloop.disk.limits import DiskLimits
from lakeloop.removal import remove
from lakeloop.settings import Settings
from lakeloop.spec.loop import LoopSpec

if TYPE_CHECKING:
    from lakeloop.lake.store import Lake

DAY = 24 * 3600.0
FOREIGN = "it has files of another user"


@dataclass(frozen=True)
class Item:
    """One thing that stays or goes whole."""

    path: Path
    extent: Extent
    needed: str
    """Why it stays; empty: it may go."""
    reason: str = ""
    """Why it goes."""
    take_away: Callable[[], bool] | None = None
    """Looks again, where somebody could have begun to use it, and removes it; false: it is used. Without one
    nobody who uses it is disturbed."""

    def remove(self) -> bool:
        """Remove it, unless it is used by now; returns whether it is gone.

        Raises:
            LakeloopError, OSError: it cannot be removed.
        """
        if self.take_away is not None:
            return self.take_away()
        remove(self.path)
        return True


@dataclass(frozen=True)
class Place:
    """What is looked at: a home, and the loops whose things are counted."""

    settings: Settings
    loops: tuple[LoopSpec, ...]
    at: float
    """Seconds since the epoch, that age is counted to."""
    limits: DiskLimits = field(default_factory=DiskLimits)

    @property
    def home(self) -> Path:
        return self.settings.home

    def days_since(self, moment: float) -> float:
        return (self.at - moment) / DAY

    @functools.cached_property
    def lakes(self) -> dict[str, Lake]:
        """The lake of each loop; nothing is made or opened by that."""
        from lakeloop.lake.store import Lake

        return {loop.name: Lake.from_settings(self.settings, loop) for loop in self.loops}


@dataclass(frozen=True)
class Kind:
    """A kind of thing on the disk."""

    name: str
    owner: str
    """Who makes it."""
    what: str
    """For people, what it is."""
    limit: Callable[[DiskLimits], str]
    """For people, what stays."""
    look: Callable[[Place], Iterable[Item]]
    """All that there is of it, of the loops of a place; of a kind that is shared, of all."""
    shared: bool = False
    """It belongs to the home, and to no loop."""


def days(number: float) -> str:
    """For people."""
    return f"{number:g} day{'' if number == 1 else 's'}"
