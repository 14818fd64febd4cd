"""Files with many days in them, split by day; made again from the files."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

from lakeloop.disk.base import Item, Kind, Place, days
from lakeloop.disk.extent import extent_of, folders
from lakeloop.locks import locked
from lakeloop.removal import remove


def _look(place: Place) -> Iterator[Item]:
    limit = place.limits.cache_days
    for loop in place.loops:
        for path in folders(place.home / "pieces" / loop.name):
            extent, used = extent_of(path), path.stat().st_mtime
            needed = f"it was used less than {days(limit)} ago" if place.days_since(used) <= limit else ""
            take = functools.partial(_take, path, used)
            yield Item(path, extent, needed, f"not used for {days(limit)}", take)


def _take(path: Path, used: float) -> bool:
    with locked(path.parent / "lock", wait=False) as free:
        if not free or path.stat().st_mtime > used:
            return False
        remove(path)
    return True


KIND = Kind(
    "pieces",
    "ingest",
    "files with many days in them, split by day",
    lambda limits: f"two states of the files; {days(limits.cache_days)} after the last use",
    _look,
)
