"""Folders on an object store, in which a name is given once, whoever asks for it.

Each writer puts the files under a place of its own, `<name>/<32 hexadecimal digits>/`; then the manifest,
`<name>.manifest.json`, which says the place, is put if it is absent. So nobody writes over another's files,
and a folder is there whole or not at all. Places that no manifest says are left by killed writers, and swept.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from lakeloop.errors import ArtifactError
from lakeloop.faults import reach
from lakeloop.lake.folders import MANIFEST, Found, Intact, Stored, as_json, require_copied
from lakeloop.lake.remote import Remote
from lakeloop.object_store import parts_of_object
from lakeloop.records import now

_PLACE = re.compile(r"(?P<name>.+)/(?P<place>[0-9a-f]{32})/")
_IN_THE_WORKS = timedelta(days=1)
"""Files that no manifest says are left alone for so long: a writer may be at it."""
_CHUNK_BYTES = 8 << 20
_AT_ONCE = 4
"""Chunks of a large file that are sent at a time."""


class ObjectFolders:
    """Folders below the address `remote`."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self._opened: tuple[Any, Any] | None = None

    @property
    def _store(self) -> tuple[Any, Any]:
        """The client and its store, opened when they are needed: many processes only read tables."""
        if self._opened is None:
            self._opened = self._remote.folders()
        return self._opened

    def exists(self, name: str) -> bool:
        client, store = self._store
        with self._remote.told():
            try:
                client.head(store, name + MANIFEST)
            except FileNotFoundError as error:
                self._remote.require_there(error)
                return False
        return True

    def find(self, name: str) -> Found | None:
        with self._remote.told():
            try:
                content = json.loads(self._get(name + MANIFEST))
            except FileNotFoundError as error:
                self._remote.require_there(error)
                return None
        return Found(content["files"], f"{name}/{content['at']}")

    def put(self, folder: Path, name: str, manifest: Mapping[str, str]) -> None:
        if self.exists(name):
            return
        place = uuid.uuid4().hex
        sent = {
            file: self._send(f"{name}/{place}/{file}", _blocks_of(folder / file))
            for file in manifest
            if (folder / file).is_file()
        }
        self._settle(name, place, sent, lambda sent: require_copied(folder, manifest, sent))

    def copy(self, source: Found, name: str, intact: Intact) -> None:
        if self.exists(name):
            return
        place, sent = uuid.uuid4().hex, {}
        for file in source.files:
            # By way of a file: while the client sends what it takes from an iterator, it cannot be asked.
            with tempfile.NamedTemporaryFile() as passing:
                try:
                    self.get(source, file, Path(passing.name))
                except FileNotFoundError:  # told by `intact`, with what else is wrong
                    continue
                sent[file] = self._send(f"{name}/{place}/{file}", _blocks_of(Path(passing.name)))
        self._settle(name, place, sent, intact)

    def _settle(self, name: str, place: str, sent: Mapping[str, str], intact: Intact) -> None:
        """Give the name to what was sent, if nobody has it and it is intact; else delete what was sent."""
        client, store = self._store
        paths = [f"{name}/{place}/{file}" for file in sent]
        try:
            intact(sent)
        except ArtifactError:
            self._delete(paths)
            raise
        reach("put.before-manifest")
        manifest = as_json({"at": place, "files": dict(sorted(sent.items()))})
        try:
            with self._remote.told():
                client.put(store, name + MANIFEST, manifest, mode="create")
        except client.exceptions.AlreadyExistsError:
            # It is ours when the answer to a first try was lost.
            found = self.find(name)
            if found is None or found.at != f"{name}/{place}":
                self._delete(paths)

    def get(self, found: Found, file: str, target: Path) -> None:
        client, store = self._store
        with self._remote.told(), target.open("wb") as out:
            try:
                size = client.head(store, path := f"{found.at}/{file}")["size"]
                for part in parts_of_object(client, store, path, size):
                    out.write(part)
            except FileNotFoundError as error:
                self._remote.require_there(error)
                raise

    def read(self, found: Found, file: str) -> bytes:
        with self._remote.told():
            return self._get(f"{found.at}/{file}")

    def stored(self, prefix: str) -> list[Stored]:
        sizes: Counter[str] = Counter()
        written: dict[str, datetime] = {}
        for path, size, at in self._list(prefix):
            first = path.removeprefix(f"{prefix}/").partition("/")[0]
            name = f"{prefix}/{first.removesuffix(MANIFEST)}"
            sizes[name] += size
            if first.endswith(MANIFEST):
                written[name] = at
        return [Stored(name, size, written.get(name)) for name, size in sorted(sizes.items())]

    def remove(self, name: str) -> None:
        found = self.find(name)
        if found is not None:
            self._delete([name + MANIFEST])
            reach("remove.after-manifest")
        for place, paths in self._places(name).items():
            if (found and place == found.at) or _newest(paths) < now() - _IN_THE_WORKS:
                self._delete(paths)

    def remove_leftovers(self, age: timedelta) -> list[str]:
        removed = []
        for place, paths in self._places("").items():
            if _newest(paths) >= now() - max(age, _IN_THE_WORKS):
                continue
            found = self.find(place.rpartition("/")[0])
            if found is None or found.at != place:
                self._delete(paths)
                removed.append(place)
        return removed

    def _places(self, name: str) -> dict[str, dict[str, datetime]]:
        """Place of a writer below `name` -> its files, each with when it was written."""
        places: dict[str, dict[str, datetime]] = {}
        for path, _, at in self._list(name):
            if place := _PLACE.match(path):
                places.setdefault(f"{place['name']}/{place['place']}", {})[path] = at
        return places

    def _send(self, path: str, blocks: Iterator[bytes]) -> str:
        """Write an object and return the sha256 of what was sent."""
        client, store = self._store
        digest = hashlib.sha256()

        def looked_at() -> Iterator[bytes]:
            for block in blocks:
                digest.update(block)
                yield block

        with self._remote.told():
            client.put(store, path, looked_at(), chunk_size=_CHUNK_BYTES, max_concurrency=_AT_ONCE)
        return digest.hexdigest()

    def _get(self, path: str) -> bytes:
        client, store = self._store
        content: bytes = client.get(store, path).bytes().to_bytes()
        return content

    def _list(self, below: str) -> Iterator[tuple[str, int, datetime]]:
        client, store = self._store
        with self._remote.told():
            for some in client.list(store, below or None):
                yield from ((each["path"], each["size"], each["last_modified"]) for each in some)

    def _delete(self, paths: Iterable[str]) -> None:
        client, store = self._store
        if gone := list(paths):
            with self._remote.told():
                client.delete(store, gone)


def _blocks_of(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(_CHUNK_BYTES):
            yield block


def _newest(paths: Mapping[str, datetime]) -> datetime:
    return max(paths.values())
