"""Copies of versions that a model server answers with."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

from lakeloop.disk.base import Item, Kind, Place
from lakeloop.disk.extent import extent_of, folders
from lakeloop.locks import locked
from lakeloop.registry.history import History
from lakeloop.registry.registry import Registry
from lakeloop.removal import remove


def _look(place: Place) -> Iterator[Item]:
    for loop in place.loops:
        copies = folders(place.home / "serving" / loop.name / "models")
        copies = [path for path in copies if not path.name.startswith(".")]
        if not copies:
            continue
        registry = Registry(place.lakes[loop.name])
        history = registry.read()
        for path in copies:
            extent = extent_of(path)
            take = functools.partial(_take, path, registry)
            yield Item(path, extent, _needed(history, path.name), "no server answers with it any more", take)


def _needed(history: History, version: str) -> str:
    aliases = history.aliases_of(version)
    return f"it is the {aliases[0]}" if aliases else ""


def _take(path: Path, registry: Registry) -> bool:
    with locked(path.parent / ".lock", wait=False) as free:  # else a server loads one now
        if not free or _needed(registry.read(), path.name):
            return False
        remove(path)
    return True


KIND = Kind(
    "served",
    "model server",
    "copies of the versions that answer",
    lambda _: "champion, the one before, a trial",
    _look,
)
