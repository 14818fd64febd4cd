"""Files of a loop in an object store: found by listing, fetched one at a time when they are read.

What a file is made of is the store's own mark of its content (ETag), by which it is also fetched: a file that
was replaced in between is not read. It lies on the local disk only while it is read.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from lakeloop.errors import LakeloopError
from lakeloop.settings import Settings
from lakeloop.sources.again import RawRecord
from lakeloop.sources.base import Block
from lakeloop.sources.delivery import FileDelivery
from lakeloop.sources.objects.credentials import access_to
from lakeloop.sources.objects.store import Bucket, StoredFile
from lakeloop.sources.packed import Limits
from lakeloop.sources.patterns import GLOB, whole_pattern
from lakeloop.spec.address import parts_of
from lakeloop.spec.days import DAY_IN_PATH, is_day
from lakeloop.spec.source import FilesSource

_FETCHED = ".fetched-"
_ABANDONED_SECONDS = 86_400


class ObjectDelivery:
    """One file in a store; see `Delivery`."""

    def __init__(
        self, bucket: Bucket, file: StoredFile, source: FilesSource, limits: Limits, folder: Path
    ) -> None:
        self.name = self.where = f"{bucket.root}/{file.path}"
        self.identity = f"object:{file.state}"
        self.size = file.size
        self._bucket = bucket
        self._file = file
        self._source = source
        self._limits = limits
        self._folder = folder

    def blocks(self) -> Iterator[Block]:
        """Fetch the file and read it, as one that lies here."""
        with self._fetched() as file:
            yield from file.blocks()

    def records_at(self, lines: Mapping[str, Collection[int]]) -> Iterator[tuple[str, RawRecord]]:
        """The records that begin at these lines; see `Rereadable`."""
        with self._fetched() as file:
            yield from file.records_at(lines)

    def require_unchanged(self) -> None:
        """It was: each part was fetched as one of the content that `identity` names."""

    @contextmanager
    def _fetched(self) -> Iterator[FileDelivery]:
        self._folder.mkdir(parents=True, exist_ok=True)
        _forget_abandoned(self._folder)
        with tempfile.TemporaryDirectory(prefix=_FETCHED, dir=self._folder) as folder:
            path = Path(folder) / "file"
            self._bucket.fetch(self._file, path)
            yield FileDelivery(path, "", self.name, self._source, self._limits, shown=self.where)


class ObjectFiles:
    """The files that an address in `source.path` stands for; listed once."""

    def __init__(self, source: FilesSource, settings: Settings, folder: Path) -> None:
        self.many = bool(GLOB.search(source.path))
        self._source = source
        self._settings = settings
        self._limits = Limits(settings.unpacked_bytes, settings.unpacked_ratio)
        self._folder = folder
        self._listed: dict[str, list[StoredFile]] = {}

    def of(self, day: str | None) -> str:
        """The address with the day put in."""
        path = self._source.path
        return path if day is None else path.replace(DAY_IN_PATH, day)

    def found(self, day: str | None) -> list[ObjectDelivery]:
        """The files of one day (None: where the address names none), in the order of their names.

        Raises:
            ConfigurationError: no such bucket or connection, or the store lets nobody in.
            ServiceError: the store is away.
        """
        return [
            ObjectDelivery(self._bucket, file, self._source, self._limits, self._folder)
            for file in self._files(day)
        ]

    def glance(self, day: str | None) -> str | None:
        """What `found` would read, by names, sizes, marks and times; None when there is nothing."""
        try:
            states = [f"{file.path} {file.state} {file.changed}" for file in self._files(day)]
        except LakeloopError:
            return None
        return hashlib.sha256("\n".join(states).encode()).hexdigest() if states else None

    def where(self, day: str | None) -> str:
        """The address, for a person."""
        return self.of(day)

    def nothing(self, day: str | None) -> str:
        """What was looked for in vain."""
        return f"looked for {self.of(day)}"

    def days(self) -> list[str]:
        """The days in the names of files; empty when the store cannot be asked."""
        try:
            path = parts_of(self._source.path)[2]
            pattern = whole_pattern(path)
            found = (pattern.fullmatch(file.path) for file in self._below(path))
            return sorted({match["day"] for match in found if match and is_day(match["day"])})
        except (LakeloopError, OSError):
            return []

    @cached_property
    def _bucket(self) -> Bucket:
        address = self._source.path
        return Bucket(address, access_to(address, self._source.connection, self._settings))

    def _files(self, day: str | None) -> list[StoredFile]:
        path = parts_of(self.of(day))[2]
        if not self.many:
            return [file] if (file := self._bucket.file(path)) else []
        pattern = whole_pattern(path)
        found = [file for file in self._below(path) if pattern.fullmatch(file.path)]
        return sorted(found, key=lambda file: file.path)

    def _below(self, path: str) -> list[StoredFile]:
        """What lies in the folder in which the names of `path` begin to vary."""
        fixed = GLOB.split(path.partition(DAY_IN_PATH)[0])[0]
        folder, _, _ = fixed.rpartition("/")
        if folder not in self._listed:
            deep = "/" in path[len(folder) + 1 :]
            self._listed[folder] = self._bucket.below(folder, deep=deep)
        return self._listed[folder]


def _forget_abandoned(folder: Path) -> None:
    """Remove what killed processes left."""
    import shutil

    for left in folder.glob(f"{_FETCHED}*"):
        try:
            if time.time() - left.stat().st_mtime > _ABANDONED_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
        except FileNotFoundError:  # another process was faster
            continue
