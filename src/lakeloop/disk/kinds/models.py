"""Weights in the lake, by section `keep` of each loop file; what describes a model stays."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from lakeloop.artifact import CANDIDATES
from lakeloop.disk.base import Item, Kind, Place
from lakeloop.disk.extent import Extent
from lakeloop.lake.files import Stored
from lakeloop.lake.store import Lake
from lakeloop.registry.registry import Registry
from lakeloop.registry.retention import MODELS, Going, carry_out, plan
from lakeloop.spec.loop import LoopSpec


def _look(prefix: str, place: Place) -> Iterator[Item]:
    at = datetime.fromtimestamp(place.at, UTC)
    for loop in place.loops:
        lake = place.lakes[loop.name]
        if not (stored := {each.name: each for each in lake.files.stored(prefix)}):
            continue
        planned = plan(lake.files, Registry(lake).read(), lake.ledger.entries(), loop.keep, at)
        going = {each.name: each for each in planned.going}
        for name, each in stored.items():
            path, extent = Path(f"{loop.name}/{name}"), _extent(each)
            if name in going:
                take = functools.partial(_take, lake, loop, name, at)
                yield Item(path, extent, "", going[name].reason, take)
            else:
                yield Item(path, extent, planned.staying.get(name, "it came at this moment"))


def _extent(stored: Stored) -> Extent:
    return Extent(stored.bytes, stored.written_at.timestamp() if stored.written_at else 0.0)


def _take(lake: Lake, loop: LoopSpec, name: str, at: datetime) -> bool:
    """Remove a folder if it may still go: the champion can have moved, or an evaluation taken it."""
    registry = Registry(lake)
    planned = plan(lake.files, registry.read(), lake.ledger.entries(), loop.keep, at)
    going: list[Going] = [each for each in planned.going if each.name == name]
    with TemporaryDirectory(prefix="keep-") as scratch:
        carry_out(going, registry, lake.files, Path(scratch))
    return bool(going)


VERSIONS = Kind(
    "versions",
    "release",
    "weights of registered versions, in the lake",
    lambda _: "keep.versions; never champion, the one before, the best, a trial",
    functools.partial(_look, MODELS),
)
KIND = Kind(
    "candidates",
    "train",
    "weights of candidates, in the lake",
    lambda _: "keep.candidates and keep.candidate_days; never what waits for the gate",
    functools.partial(_look, CANDIDATES),
)
