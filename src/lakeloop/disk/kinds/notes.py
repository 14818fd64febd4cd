"""Files that stages leave beside their folders: their record, and what was seen of a drop."""

from __future__ import annotations

from collections.abc import Iterator

from lakeloop.disk.base import Item, Kind, Place
from lakeloop.disk.extent import entries, extent_of, folders


def _look(place: Place) -> Iterator[Item]:
    for loop in place.loops:
        for stage in folders(place.home / "work" / loop.name):
            for day in folders(stage):
                for path in entries(day):
                    if path.is_symlink() or not path.is_dir():
                        yield Item(path, extent_of(path), "a drop that looks as it did is not read again")


KIND = Kind(
    "notes", "stages", "each stage's record.json, and what was seen of drops", lambda _: "stay", _look
)
