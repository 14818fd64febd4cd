"""What other runs find again in the cache, and make anew where it is gone."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

from lakeloop.disk.base import Item, Kind, Place, days
from lakeloop.disk.extent import Extent, entries, extent_of, folders
from lakeloop.locks import locked
from lakeloop.removal import GOING, remove

BASES = "bases"
_HOUR = 1 / 24
_BASE_DAYS = 7.0
"""A training reads its base model for as long as it takes."""


def _look(place: Place) -> Iterator[Item]:
    """The newest first: what is beyond the limit goes."""
    found = sorted(_found(place.settings.cache), key=lambda each: each[1].newest, reverse=True)
    guarded = {
        path: why for path, extent in found if (why := _guarded(path, place.days_since(extent.newest)))
    }
    room = place.limits.cache_gb * 1e9 - sum(extent.bytes for path, extent in found if path in guarded)
    for path, extent in found:
        if path in guarded:
            yield Item(path, extent, guarded[path])
            continue
        room -= extent.bytes
        needed = "" if room < 0 else "it is within the limit"
        reason = f"the cache has more than {place.limits.cache_gb:g} GB, and this was not used for longest"
        if place.days_since(extent.newest) > place.limits.cache_days:
            needed, reason = "", f"not used for {days(place.limits.cache_days)}"
        yield Item(path, extent, needed, reason, functools.partial(_take, path, extent.newest))


def _guarded(path: Path, age: float) -> str:
    """Why somebody may be reading it at this moment; `age` in days."""
    if path.parent.name == BASES:
        return "it was used within the week" if age <= _BASE_DAYS else ""
    return "it was used within the hour" if age <= _HOUR else ""


def _found(cache: Path) -> Iterator[tuple[Path, Extent]]:
    for part in folders(cache):
        for path in entries(part):
            if path.is_symlink() or path.name.startswith((GOING, ".")):
                continue
            extent = extent_of(path)
            # A folder is used when its own time says so: its files are as old as they are.
            moment = max(extent.newest, path.stat().st_mtime) if path.is_dir() else extent.newest
            yield path, extent._replace(newest=moment)


def _take(path: Path, used: float) -> bool:
    if not path.is_dir():
        remove(path)
        return True
    with locked(path.with_name(f".{path.name}.lock"), wait=False) as free:
        if not free or path.stat().st_mtime > used:
            return False
        remove(path)
    return True


KIND = Kind(
    "cache",
    "train, transform",
    "embeddings, graphs, augmented texts, parsed dbt projects, unpacked base models",
    lambda limits: f"{limits.cache_gb:g} GB, and {days(limits.cache_days)} after the last use",
    _look,
    shared=True,
)
