"""Source `files`: files put by others where the loop file says. What they hold is read by `delivery`."""

from __future__ import annotations

import os
import stat

from lakeloop.durable import sha256_file
from lakeloop.errors import ConfigurationError
from lakeloop.settings import Settings
from lakeloop.sources.delivery import FileDelivery, FilesDelivery
from lakeloop.sources.packed import Limits
from lakeloop.sources.patterns import Match, PathPattern
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.paths import day_file
from lakeloop.spec.source import FilesSource


class FileDrops:
    """Files of a day below the project or an allowed data root; a link that leads elsewhere is refused."""

    replays = False

    def __init__(self, loop: LoopSpec, settings: Settings) -> None:
        assert isinstance(loop.source, FilesSource)
        self._source = loop.source
        self._settings = settings
        self._pattern = PathPattern(loop.source.path, settings)
        self._limits = Limits(settings.unpacked_bytes, settings.unpacked_ratio)

    @property
    def place(self) -> str:
        return self._source.path

    def find(self, partition: str) -> FileDelivery | FilesDelivery | None:
        """The file of the day, or all of them; None when there is none.

        Raises:
            ConfigurationError: the path leads out of the allowed folders, or to a folder, or to a file that
                cannot be read.
        """
        name = self._pattern.of(partition)
        if not self._pattern.many:
            return self._file(name)
        files = [file for match in self._matches(partition) if (file := self._file(match.name, among=True))]
        return FilesDelivery(files, name, str(self._pattern.looked_in(partition))) if files else None

    def absence(self, partition: str) -> str:
        if self._pattern.many:
            folder = self._pattern.looked_in(partition)
            looked = f"no file for {partition}: looked for {self._pattern.of(partition)} in {folder}"
            return looked if folder.is_dir() else f"{looked}, which is not there"
        path = day_file(self._source, partition, self._settings)
        nowhere = "" if path.parent.is_dir() else f"; there is no folder {path.parent}"
        return f"no file for {partition}: looked for {path}{nowhere}"

    def partitions(self) -> list[str]:
        """The days in the names of files: one listing of each folder, and a look at each file that has one.

        A link that leads out of the allowed folders is no file of a day.
        """
        matches = self._pattern.matches(strict=False)
        return sorted({match.day for match in matches if match.day and self._is_there(match.name)})

    def _matches(self, partition: str) -> list[Match]:
        try:
            return self._pattern.matches(partition)
        except OSError as error:
            raise _unreadable(str(error.filename), error) from error

    def _is_there(self, name: str) -> bool:
        try:
            return self._pattern.real(name).is_file()
        except (OSError, ConfigurationError):
            return False

    def _file(self, name: str, *, among: bool = False) -> FileDelivery | None:
        """The file called `name`; None when it is not there, or a folder `among` the matches of a pattern."""
        path = self._pattern.real(name)
        try:
            # Not Path.exists: whether it hides an error such as a forbidden folder depends on the error.
            mode = path.stat().st_mode
            if among and stat.S_ISDIR(mode):
                return None
            if not stat.S_ISREG(mode):
                raise ConfigurationError(
                    "not a file", where="source.path", expected="the path of a file", found=str(path)
                )
            digest = sha256_file(path)
        except (FileNotFoundError, NotADirectoryError) as error:
            if among:
                raise _unreadable(str(path), error) from error
            return None
        except OSError as error:
            raise _unreadable(str(path), error) from error
        return FileDelivery(path, digest, _printable(name), self._source, self._limits)


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
