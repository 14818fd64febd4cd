"""Folders on a local disk: one is renamed into its place when it is whole, then its manifest is written."""

from __future__ import annotations

import json
import re
import shutil
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lakeloop.durable import fsync_directory, fsync_tree, write_atomically
from lakeloop.faults import reach
from lakeloop.lake.folders import MANIFEST, Found, Intact, Stored, as_json, digests_below, require_copied
from lakeloop.locks import locked

_SHOWN = re.compile(r"[A-Za-z0-9]")
"""What the name of a folder begins with; hidden ones are not done yet."""


class DiskFolders:
    """Folders below `root`. Writers of one name wait for each other."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def exists(self, name: str) -> bool:
        return self._manifest(name).exists()

    def find(self, name: str) -> Found | None:
        try:
            return Found(json.loads(self._manifest(name).read_bytes()), str(self._root / name))
        except FileNotFoundError:
            return None

    def put(self, folder: Path, name: str, manifest: Mapping[str, str]) -> None:
        def copied(temporary: Path) -> None:
            shutil.copytree(folder, temporary)
            require_copied(folder, manifest, digests_below(temporary))

        self._store(name, manifest, copied)

    def copy(self, source: Found, name: str, intact: Intact) -> None:
        def copied(temporary: Path) -> None:
            for file in source.files:
                (temporary / file).parent.mkdir(parents=True, exist_ok=True)
                with suppress(FileNotFoundError):  # told by `intact`, with what else is wrong
                    shutil.copyfile(Path(source.at) / file, temporary / file)
            intact(digests_below(temporary))

        self._store(name, source.files, copied)

    def _store(self, name: str, manifest: Mapping[str, str], copied: Callable[[Path], None]) -> None:
        """Store what `copied` makes at a path beside the folder's."""
        target = self._root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with locked(target.parent / ".lock"):
            if self.exists(name):
                return
            temporary = _beside(target)
            try:
                copied(temporary)
                _take_place(temporary, target)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
            reach("put.before-manifest")
            write_atomically(self._manifest(name), as_json(manifest))

    def get(self, found: Found, file: str, target: Path) -> None:
        shutil.copyfile(Path(found.at) / file, target)

    def read(self, found: Found, file: str) -> bytes:
        return (Path(found.at) / file).read_bytes()

    def stored(self, prefix: str) -> list[Stored]:
        root = self._root / prefix
        sizes: Counter[str] = Counter()
        for path in root.rglob("*"):
            first = path.relative_to(root).parts[0].removesuffix(MANIFEST)
            if _SHOWN.match(first) and path.is_file():
                sizes[first] += path.stat().st_size
        return [
            Stored(f"{prefix}/{first}", size, self._written_at(f"{prefix}/{first}"))
            for first, size in sorted(sizes.items())
        ]

    def _written_at(self, name: str) -> datetime | None:
        try:
            return datetime.fromtimestamp(self._manifest(name).stat().st_mtime, UTC)
        except FileNotFoundError:
            return None

    def remove(self, name: str) -> None:
        folder = self._root / name
        if not folder.parent.is_dir():
            return
        with locked(folder.parent / ".lock"):
            self._manifest(name).unlink(missing_ok=True)
            fsync_directory(folder.parent)
            reach("remove.after-manifest")
            if folder.exists():
                folder.rename(passing := _beside(folder))
                shutil.rmtree(passing)

    def remove_leftovers(self, age: timedelta) -> list[str]:  # noqa: ARG002 - `upkeep` sweeps the whole lake
        return []

    def _manifest(self, name: str) -> Path:
        return self._root / (name + MANIFEST)


def _beside(target: Path) -> Path:
    return target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")


def _take_place(temporary: Path, target: Path) -> None:
    fsync_tree(temporary)
    if target.exists():  # without a manifest: left by a writer that was killed before it was stored
        shutil.rmtree(target)
    temporary.rename(target)
    fsync_directory(target.parent)
