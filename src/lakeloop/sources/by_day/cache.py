"""The pieces that files were split into, kept for as long as the files stay what they are.

One folder for each state of the files: its name is made of their sha256 and of all that decides how they are
read, this code among it. A folder is whole or absent. Of states that are no more, one is kept.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from lakeloop.durable import FileState, digest_folder, fsync_directory, sha256_file, write_atomically
from lakeloop.locks import locked
from lakeloop.sources.by_day.pieces import index_of

_KEPT = 2
_UNFINISHED = ".unfinished-"


class PieceCache:
    """The splits of one loop's files, below `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def pieces(self, key: str, split: Callable[[Path], None]) -> tuple[Path, Mapping[str, str]]:
        """The folder of the pieces, and day -> identity; `split` writes them when they are not there.

        Only one process of this machine splits at a time. What `split` raises leaves nothing behind.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        folder = self._folder / key
        with locked(self._folder / "lock"):
            if (found := _whole(folder)) is None:
                self._make_room(key)
                work = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=self._folder))
                try:
                    split(work)
                    work.replace(folder)
                except BaseException:
                    shutil.rmtree(work, ignore_errors=True)
                    raise
                fsync_directory(self._folder)
                found = index_of(folder)
            os.utime(folder)
        return folder, found

    def has(self, key: str) -> bool:
        """Whether the pieces are there."""
        return _whole(self._folder / key) is not None

    def remembered(self, path: Path) -> str:
        """The sha256 of a file that `sha256` read before; empty when it would have to read it now."""
        entry = _read_json(self._folder / "known.json").get(str(path))
        return str(entry["sha256"]) if entry and entry["state"] == [*FileState.of(path)] else ""

    def sha256(self, path: Path) -> str:
        """The sha256 of a file, remembered for as long as its size, its times and its inode stay.

        Raises:
            OSError: it cannot be read, or is no regular file.
        """
        known_file = self._folder / "known.json"
        known = _read_json(known_file)
        before = FileState.of(path)
        if (entry := known.get(str(path))) and entry["state"] == [*before]:
            return str(entry["sha256"])
        settled = before.settled
        digest = sha256_file(path)
        if settled and FileState.of(path) == before:
            known = {name: entry for name, entry in known.items() if Path(name).exists()}
            known[str(path)] = {"state": before, "sha256": digest}
            write_atomically(known_file, json.dumps(known))
        return digest

    def _make_room(self, key: str) -> None:
        """Remove splits that were not used lately, and what a killed process left; the lock is held."""
        folders = [entry for entry in self._folder.iterdir() if entry.is_dir() and entry.name != key]
        done = [entry for entry in folders if not entry.name.startswith(_UNFINISHED)]
        done.sort(key=lambda entry: entry.stat().st_mtime, reverse=True)
        for entry in {*folders} - {*done[: _KEPT - 1]}:
            shutil.rmtree(entry, ignore_errors=True)
        shutil.rmtree(self._folder / key, ignore_errors=True)


def key_of(files: list[tuple[str, str]], decides: Mapping[str, Any]) -> str:
    """The name of a state: files by name and identity, and what decides how they are read."""
    content = {"files": files, "decides": decides, "code": _code(), "pyarrow": pa.__version__}
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:40]


@cache
def _code() -> str:
    """The digest of the code that reads: rows that another version has read are read again."""
    return digest_folder(Path(__file__).parents[1], "**/*.py")


def _whole(folder: Path) -> Mapping[str, str] | None:
    try:
        return index_of(folder)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
