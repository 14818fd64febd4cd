"""What our processes leave in the system's folder for temporary files."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

from lakeloop.disk.base import Item, Kind, Place
from lakeloop.disk.extent import extent_of
from lakeloop.removal import remove
from lakeloop.temporary import PREFIX, abandoned, system_folder


def _look(place: Place) -> Iterator[Item]:  # noqa: ARG001
    left = set(abandoned())
    for path in sorted(system_folder().glob(f"{PREFIX}*")):
        extent = extent_of(path)
        if not extent.foreign:
            needed = "" if path in left else "a process has it"
            yield Item(path, extent, needed, "its process is gone", functools.partial(_take, path))


def _take(path: Path) -> bool:
    for each in abandoned():
        if each == path:
            remove(path)
            return True
    return False


KIND = Kind(
    "temporary",
    "trainings, server, mirror",
    "in the system's folder for temporary files",
    lambda _: "while a process has it",
    _look,
    shared=True,
)
