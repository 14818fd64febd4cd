"""How large a folder is, when it was written to last and whose it is; links are never followed."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple


class Extent(NamedTuple):
    """Of a file, or of a folder with all that is in it."""

    bytes: int = 0
    newest: float = 0.0
    """Seconds since the epoch: the last change of a file in it; of a folder without files, its own."""
    foreign: bool = False
    """Another user owns some of it, and this one is not root: it cannot be relied upon to go whole."""

    def __add__(self, other: object) -> Extent:
        assert isinstance(other, Extent)
        return Extent(self.bytes + other.bytes, max(self.newest, other.newest), self.foreign or other.foreign)


def extent_of(path: Path, without: Collection[str] = ()) -> Extent:
    """That of `path`; nothing where there is none. What is in it by a name of `without` is left out."""
    try:
        found = path.lstat()
    except OSError:
        return Extent()
    foreign = _foreign(found)
    if not stat.S_ISDIR(found.st_mode):
        return Extent(found.st_size, found.st_mtime, foreign)
    whole = Extent(0, 0.0, foreign)
    for entry in _entries(path):
        if entry.name in without:
            continue
        try:
            if entry.is_dir(follow_symlinks=False):
                whole += extent_of(Path(entry.path))
                continue
            inside = entry.stat(follow_symlinks=False)
        except OSError:  # gone meanwhile
            continue
        whole += Extent(inside.st_size, inside.st_mtime, _foreign(inside))
    return whole if whole.newest else whole._replace(newest=found.st_mtime)


def folders(path: Path) -> list[Path]:
    """The folders in `path`, by name, without links; none where it is none itself."""
    return sorted(Path(entry.path) for entry in _entries(path) if _is_folder(entry))


def entries(path: Path) -> list[Path]:
    """All that is in `path`, by name."""
    return sorted(Path(entry.path) for entry in _entries(path))


def _entries(path: Path) -> Iterator[os.DirEntry[str]]:
    if path.is_symlink():
        return
    try:
        with os.scandir(path) as found:
            yield from found
    except OSError:
        return


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _foreign(found: os.stat_result) -> bool:
    return os.geteuid() not in (0, found.st_uid)
