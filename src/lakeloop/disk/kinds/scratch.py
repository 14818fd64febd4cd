"""Folders of attempts that were killed, and what killed removals and writers left."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from pathlib import Path

from lakeloop.disk.base import Item, Kind, Place
from lakeloop.disk.extent import entries, extent_of
from lakeloop.removal import GOING
from lakeloop.scratch.folder import remove_abandoned

_ATTEMPT = re.compile(r"\.[a-z]+-[a-z0-9_]{8}(-replaced)?")
"""As `lakeloop.scratch.folder` names them."""
_HALF = re.compile(r"\..+\.tmp|frozen-[a-z0-9_]{8}")
_DAY = 1.0
_REMOVAL = 1 / 144
"""Ten minutes, in days."""


def _look(place: Place) -> Iterator[Item]:
    home, keep = place.home, {place.home / "airflow", Path(place.settings.lake)}
    for path in _below(home, keep):
        extent = extent_of(path)
        if path.name.startswith(GOING):
            young = place.days_since(path.lstat().st_ctime) <= _REMOVAL  # its name is as old as that
            needed = "it is being removed" if young else ""
            yield Item(path, extent, needed, "its removal was not finished")
            continue
        young = place.days_since(extent.newest) <= _DAY
        needed = "an attempt may be at work on it" if young else ""
        take = functools.partial(remove_abandoned, path) if path.is_dir() else None
        yield Item(path, extent, needed, "its attempt was killed", take)


def _below(folder: Path, keep: set[Path]) -> Iterator[Path]:
    for path in entries(folder):
        if path.name.startswith(GOING) or _HALF.fullmatch(path.name):
            if not path.is_symlink():
                yield path
        elif path in keep or path.is_symlink() or not path.is_dir():
            continue
        elif _ATTEMPT.fullmatch(path.name):
            yield path
        else:
            yield from _below(path, keep)


KIND = Kind(
    "scratch",
    "stages",
    "folders of attempts at work; of those that were killed, and half removals",
    lambda _: "a day, while no process has it",
    _look,
    shared=True,
)
