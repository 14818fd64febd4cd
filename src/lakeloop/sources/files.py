"""Source `files`: files put by others where the loop file says. What they hold is read by `delivery`.

Where they lie, on a disk or in an object store, is the business of `local_files` and `objects`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from lakeloop.errors import LakeloopError
from lakeloop.settings import Settings
from lakeloop.sources.base import Source
from lakeloop.sources.by_day.cache import PieceCache, key_of
from lakeloop.sources.by_day.digest import PieceDigest
from lakeloop.sources.by_day.pieces import PieceDelivery, PieceWriter
from lakeloop.sources.by_day.split import Splitter
from lakeloop.sources.delivery import FilesDelivery, OneFile
from lakeloop.sources.local_files import LocalFiles
from lakeloop.sources.objects.files import ObjectFiles
from lakeloop.spec.address import is_address
from lakeloop.spec.hub import HubSource
from lakeloop.spec.identity import decisive
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.source import FilesSource


def files_source(loop: LoopSpec, settings: Settings) -> Source:
    """The source `files` of a loop: by the day in the names, or by the day of each record."""
    if isinstance(loop.source, FilesSource) and loop.source.partition_by:
        return ManyDays(loop, settings)
    return FileDrops(loop, settings)


class Place(Protocol):
    """Where the files that `source.path` stands for are."""

    many: bool
    """A day may have more than one."""

    def of(self, day: str | None) -> str:
        """`source.path` with the day put in."""

    def found(self, day: str | None) -> Sequence[OneFile]:
        """The files of one day (None: where the path names none), in the order of their names."""

    def glance(self, day: str | None) -> str | None:
        """What `found` would read, from outside; None when there is nothing."""

    def where(self, day: str | None) -> str:
        """Where a person finds them."""

    def nothing(self, day: str | None) -> str:
        """What was looked for in vain."""

    def days(self) -> list[str]:
        """The days in the names of files, oldest first."""


def _place(loop: LoopSpec, settings: Settings, sha256: Callable[[Path], str] | None = None) -> Place:
    assert isinstance(loop.source, FilesSource)
    if is_address(loop.source.path):
        return ObjectFiles(loop.source, settings, settings.home / "fetched" / loop.name)
    return LocalFiles(loop.source, settings, sha256)


OpenPlace = Callable[[Callable[[Path], str]], Place]
"""Opens a place, given how a file of this machine is digested."""


class FileDrops:
    """Files of a day: below the project or an allowed data root, or in an object store."""

    replays = False

    def __init__(self, loop: LoopSpec, settings: Settings) -> None:
        assert isinstance(loop.source, FilesSource)
        self.place = loop.source.path
        self._files = _place(loop, settings)
        self._elsewhere = is_address(self.place)

    def find(self, partition: str) -> OneFile | FilesDelivery | None:
        """The file of the day, or all of them; None when there is none.

        Raises:
            ConfigurationError: the path leads out of the allowed folders, or to a folder, or to a file that
                cannot be read.
        """
        found = self._files.found(partition)
        if not found or not self._files.many:
            return found[0] if found else None
        return FilesDelivery(found, self._files.of(partition), self._files.where(partition))

    def glance(self, partition: str) -> str | None:
        """Names, sizes, times and numbers of the files: a copy or a touch of one has another glance."""
        return self._files.glance(partition)

    def unread_bytes(self) -> int | None:
        """0: a file is read from its beginning; None where it has to be fetched."""
        return None if self._elsewhere else 0

    def absence(self, partition: str) -> str:
        return f"no file for {partition}: {self._files.nothing(partition)}"

    def partitions(self) -> list[str]:
        """The days in the names of files."""
        return self._files.days()


class ManyDays:
    """Files with many days in them, split by the day of each record when they are first met, or have changed.

    The delivery of a day is its piece, in `<home>/pieces/<loop>/`: only days whose records changed are other
    deliveries when the files are other ones.
    """

    replays = False

    def __init__(self, loop: LoopSpec, settings: Settings, opened: OpenPlace | None = None) -> None:
        assert isinstance(loop.source, FilesSource | HubSource)
        self._source = loop.source
        self._open = opened or (lambda sha256: _place(loop, settings, sha256))
        self._zone = loop.schedule.timezone
        self._cache = PieceCache(settings.home / "pieces" / loop.name)
        self._files = self._open(self._cache.sha256)
        self.place = self._files.of(None)
        self._glanced: tuple[str | None, Mapping[str, str]] = (None, {})

    def find(self, partition: str) -> PieceDelivery | None:
        """The records of the day; None when there are none.

        Raises:
            ConfigurationError: the path leads out of the allowed folders, or to what cannot be read.
            DataError: a file is not what the loop file declares, or no record has a day that can be read.
            TransientError: a file changed while it was split.
        """
        folder, days = self._pieces()
        if folder is None or partition not in days:
            return None
        where = self._files.where(None)
        return PieceDelivery(folder, partition, days[partition], self.place, where)

    def emptied(self, partition: str, files: Collection[str]) -> PieceDelivery | None:
        """See `Emptying`."""
        there = {file.name for file in self._files.found(None)}
        folder, days = self._pieces()
        if folder is None or partition in days or not files or not there.issuperset(files):
            return None
        none = f"day:{PieceDigest().hexdigest()}"
        return PieceDelivery(folder, partition, none, self.place, self._files.where(None))

    def glance(self, partition: str) -> str | None:
        """The identity of the day's piece: files that look as they did have the same pieces."""
        files = self._files.glance(None)
        if files is not None and files != self._glanced[0]:
            try:
                self._glanced = files, self._pieces()[1]
            except (LakeloopError, OSError):
                return None
        return self._glanced[1].get(partition) if files is not None else None

    def absence(self, partition: str) -> str:
        days = self.partitions()
        if not days:
            return f"no record of {partition}, for there is no file: {self._files.nothing(None)}"
        return f"no record of {partition} in {self.place}: {len(days)} day(s) there, {days[0]} to {days[-1]}"

    def partitions(self) -> list[str]:
        """The days of the records; files that were not met yet are split for that."""
        try:
            return list(self._pieces()[1])
        except (LakeloopError, OSError):
            return []

    def unread_bytes(self) -> int:
        """How large the files are that the next call would split; 0 when they are split already.

        Raises:
            ConfigurationError: the path leads out of the allowed folders, or to what cannot be read.
        """
        found = self._open(self._cache.remembered).found(None)
        if not found or self._cache.has(self._key(found)):
            return 0
        return sum(file.size for file in found)

    def _pieces(self) -> tuple[Path | None, Mapping[str, str]]:
        found = self._files.found(None)
        if not found:
            return None, {}
        files = FilesDelivery(found, self.place, self._files.where(None))
        return self._cache.pieces(self._key(found), lambda folder: self._split(files, folder))

    def _key(self, found: Sequence[OneFile]) -> str:
        named = [(file.name, file.identity) for file in found]
        return key_of(named, {**decisive(self._source, "raw"), "zone": self._zone})

    def _split(self, files: FilesDelivery, folder: Path) -> None:
        column = self._source.stored(str(self._source.partition_by))
        writer = PieceWriter(folder, files.where)
        Splitter(column, self._zone, files.where).split(files, writer)
        files.require_unchanged()
        writer.close()
