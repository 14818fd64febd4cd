"""Source `files`: files put by others where the loop file says. What they hold is read by `delivery`."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lakeloop.durable import sha256_file
from lakeloop.errors import ConfigurationError, LakeloopError
from lakeloop.settings import Settings
from lakeloop.sources.base import Source
from lakeloop.sources.by_day.cache import PieceCache, key_of
from lakeloop.sources.by_day.pieces import PieceDelivery, PieceWriter
from lakeloop.sources.by_day.split import Splitter
from lakeloop.sources.delivery import FileDelivery, FilesDelivery
from lakeloop.sources.packed import Limits
from lakeloop.sources.patterns import PathPattern
from lakeloop.spec.identity import decisive
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.source import FilesSource


def files_source(loop: LoopSpec, settings: Settings) -> Source:
    """The source `files` of a loop: by the day in the names, or by the day of each record."""
    if isinstance(loop.source, FilesSource) and loop.source.partition_by:
        return ManyDays(loop, settings)
    return FileDrops(loop, settings)


class _Files:
    """The files that `source.path` stands for; `sha256` digests one."""

    def __init__(
        self, source: FilesSource, settings: Settings, sha256: Callable[[Path], str] | None = None
    ) -> None:
        self.pattern = PathPattern(source.path, settings)
        self._source = source
        self._sha256 = sha256 or sha256_file
        self._limits = Limits(settings.unpacked_bytes, settings.unpacked_ratio)

    def found(self, day: str | None) -> list[FileDelivery]:
        """The files of one day (None: where the path names none), in the order of their names.

        Raises:
            ConfigurationError: one leads out of the allowed folders, is no file, or cannot be read.
        """
        if not self.pattern.many:
            file = self._file(self.pattern.of(day))
            return [file] if file else []
        try:
            matches = self.pattern.matches(day)
        except OSError as error:
            raise _unreadable(str(error.filename), error) from error
        return [file for match in matches if (file := self._file(match.name, among=True))]

    def glance(self, day: str | None) -> str | None:
        """What `found` would read, by names, sizes, times and numbers; None when there is nothing."""
        try:
            names = [self.pattern.of(day)]
            if self.pattern.many:
                names = sorted(match.name for match in self.pattern.matches(day, strict=False))
            seen = [(name, self.pattern.real(name).stat()) for name in names]
        except (OSError, ConfigurationError):
            return None
        states = [
            f"{name} {state.st_size} {state.st_mtime_ns} {state.st_ctime_ns} {state.st_ino}"
            for name, state in seen
            if stat.S_ISREG(state.st_mode)
        ]
        return hashlib.sha256(os.fsencode("\n".join(states))).hexdigest() if states else None

    def where(self, day: str | None) -> str:
        """Where a person finds them: the file, or the folder in which names begin to vary."""
        if self.pattern.many:
            return str(self.pattern.looked_in(day))
        return str(self.pattern.real(self.pattern.of(day)))

    def nothing(self, day: str | None) -> str:
        """What was looked for in vain."""
        folder = self.pattern.looked_in(day)
        if not self.pattern.many:
            nowhere = "" if folder.is_dir() else f"; there is no folder {folder}"
            return f"looked for {self.where(day)}{nowhere}"
        looked = f"looked for {self.pattern.of(day)} in {folder}"
        return looked if folder.is_dir() else f"{looked}, which is not there"

    def _file(self, name: str, *, among: bool = False) -> FileDelivery | None:
        """The file called `name`; None when it is not there, or a folder `among` the matches of a pattern."""
        path = self.pattern.real(name)
        try:
            # Not Path.exists: whether it hides an error such as a forbidden folder depends on the error.
            mode = path.stat().st_mode
            if among and stat.S_ISDIR(mode):
                return None
            if not stat.S_ISREG(mode):
                raise ConfigurationError(
                    "not a file", where="source.path", expected="the path of a file", found=str(path)
                )
            digest = self._sha256(path)
        except (FileNotFoundError, NotADirectoryError) as error:
            if among:
                raise _unreadable(str(path), error) from error
            return None
        except OSError as error:
            raise _unreadable(str(path), error) from error
        return FileDelivery(path, digest, _printable(name), self._source, self._limits)


class FileDrops:
    """Files of a day below the project or an allowed data root; a link that leads elsewhere is refused."""

    replays = False

    def __init__(self, loop: LoopSpec, settings: Settings) -> None:
        assert isinstance(loop.source, FilesSource)
        self.place = loop.source.path
        self._files = _Files(loop.source, settings)

    def find(self, partition: str) -> FileDelivery | FilesDelivery | None:
        """The file of the day, or all of them; None when there is none.

        Raises:
            ConfigurationError: the path leads out of the allowed folders, or to a folder, or to a file that
                cannot be read.
        """
        found = self._files.found(partition)
        if not found or not self._files.pattern.many:
            return found[0] if found else None
        return FilesDelivery(found, self._files.pattern.of(partition), self._files.where(partition))

    def glance(self, partition: str) -> str | None:
        """Names, sizes, times and numbers of the files: a copy or a touch of one has another glance."""
        return self._files.glance(partition)

    def unread_bytes(self) -> int:
        return 0

    def absence(self, partition: str) -> str:
        return f"no file for {partition}: {self._files.nothing(partition)}"

    def partitions(self) -> list[str]:
        """The days in the names of files: one listing of each folder, and a look at each file that has one.

        A link that leads out of the allowed folders is no file of a day.
        """
        matches = self._files.pattern.matches(strict=False)
        return sorted({match.day for match in matches if match.day and self._is_there(match.name)})

    def _is_there(self, name: str) -> bool:
        try:
            return self._files.pattern.real(name).is_file()
        except (OSError, ConfigurationError):
            return False


class ManyDays:
    """Files with many days in them, split by the day of each record when they are first met, or have changed.

    The delivery of a day is its piece, in `<home>/pieces/<loop>/`: only days whose records changed are other
    deliveries when the files are other ones.
    """

    replays = False

    def __init__(self, loop: LoopSpec, settings: Settings) -> None:
        assert isinstance(loop.source, FilesSource)
        self.place = loop.source.path
        self._source = loop.source
        self._settings = settings
        self._zone = loop.schedule.timezone
        self._cache = PieceCache(settings.home / "pieces" / loop.name)
        self._files = _Files(loop.source, settings, self._cache.sha256)
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
            return f"no record of {partition}: {self._files.nothing(None)}"
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
        found = _Files(self._source, self._settings, self._cache.remembered).found(None)
        if not found or self._cache.has(self._key(found)):
            return 0
        return sum(file.path.stat().st_size for file in found)

    def _pieces(self) -> tuple[Path | None, Mapping[str, str]]:
        found = self._files.found(None)
        if not found:
            return None, {}
        files = FilesDelivery(found, self.place, self._files.where(None))
        return self._cache.pieces(self._key(found), lambda folder: self._split(files, folder))

    def _key(self, found: Sequence[FileDelivery]) -> str:
        named = [(file.name, file.identity) for file in found]
        return key_of(named, {**decisive(self._source, "raw"), "zone": self._zone})

    def _split(self, files: FilesDelivery, folder: Path) -> None:
        column = self._source.stored(str(self._source.partition_by))
        writer = PieceWriter(folder, files.where)
        Splitter(column, self._zone, files.where).split(files, writer)
        files.require_unchanged()
        writer.close()


def _printable(name: str) -> str:
    """A name as text that a table can hold, also one whose bytes are not UTF-8."""
    return os.fsencode(name).decode(errors="backslashreplace")


def _unreadable(where: str, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        "cannot read it",
        where=where,
        expected="a file that this user may read, each name at most 255 bytes long",
        found=error.strerror or str(error),
        remedy="correct source.path in the loop file, or the permissions of the file and its folders",
    )
