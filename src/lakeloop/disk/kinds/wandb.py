"""Runs as W&B's client wrote them. Each can be written again from its journal, which stays."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

from lakeloop.disk.base import Item, Kind, Place, days
from lakeloop.disk.extent import entries, extent_of
from lakeloop.removal import remove
from lakeloop.tracking.wake import mirror_lock

_OFFLINE = "offline-"
_SHARED = ("cache", "data", "config")


def _look(place: Place) -> Iterator[Item]:
    folder, take = place.settings.wandb_dir, functools.partial(_take, place.settings.journals)
    for path in (*entries(folder / "wandb"), *_parts(folder)):
        if path.is_symlink():
            continue
        extent = extent_of(path)
        had = not path.name.startswith(_OFFLINE) or any(path.glob("*.synced"))
        limit = min(1.0, place.limits.wandb_days) if had else place.limits.wandb_days
        needed = "" if place.days_since(extent.newest) > limit else f"written less than {days(limit)} ago"
        yield Item(
            path, extent, needed, f"written more than {days(limit)} ago", functools.partial(take, path)
        )


def _parts(folder: Path) -> Iterator[Path]:
    """The client's own copies of artifacts, by which it sends them."""
    for name in _SHARED:
        for path in entries(folder / name):
            yield from entries(path) or [path]


def _take(journals: Path, path: Path) -> bool:
    with mirror_lock(journals) as free:  # else a mirror writes there now
        if free:
            remove(path)
        return free


KIND = Kind(
    "wandb",
    "mirror",
    "runs as W&B's client writes them",
    lambda limits: f"{days(limits.wandb_days)}; a day where W&B has them",
    _look,
    shared=True,
)
