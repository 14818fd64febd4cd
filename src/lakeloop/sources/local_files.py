"""Files of a loop on a disk of this machine: found by `source.path`, named by the sha256 of their bytes."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path

from lakeloop.durable import FileState, sha256_file
from lakeloop.errors import ConfigurationError
from lakeloop.settings import Settings
from lakeloop.sources.delivery import FileDelivery
from lakeloop.sources.packed import Limits
from lakeloop.sources.patterns import PathPattern
from lakeloop.spec.source import FilesSource


class LocalFiles:
    """The files that `source.path` stands for; `sha256` digests one."""

    def __init__(
        self, source: FilesSource, settings: Settings, sha256: Callable[[Path], str] | None = None
    ) -> None:
        self._pattern = PathPattern(source.path, settings)
        self.many = self._pattern.many
        self._source = source
        self._sha256 = sha256 or sha256_file
        self._limits = Limits(settings.unpacked_bytes, settings.unpacked_ratio)

    def of(self, day: str | None) -> str:
        """`source.path` with the day put in."""
        return self._pattern.of(day)

    def found(self, day: str | None) -> list[FileDelivery]:
        """The files of one day (None: where the path names none), in the order of their names.

        Raises:
            ConfigurationError: one leads out of the allowed folders, is no file, or cannot be read.
        """
        if not self.many:
            file = self._file(self._pattern.of(day))
            return [file] if file else []
        try:
            matches = self._pattern.matches(day)
        except OSError as error:
            raise _unreadable(str(error.filename), error) from error
        return [file for match in matches if (file := self._file(match.name, among=True))]

    def glance(self, day: str | None) -> str | None:
        """What `found` would read, by names, sizes, times and numbers; None when there is nothing."""
        try:
            names = [self._pattern.of(day)]
            if self.many:
                names = sorted(match.name for match in self._pattern.matches(day, strict=False))
            return seen_from_outside((name, self._pattern.real(name)) for name in names)
        except (OSError, ConfigurationError):
            return None

    def where(self, day: str | None) -> str:
        """Where a person finds them: the file, or the folder in which names begin to vary."""
        if self.many:
            return str(self._pattern.looked_in(day))
        return str(self._pattern.real(self._pattern.of(day)))

    def nothing(self, day: str | None) -> str:
        """What was looked for in vain."""
        folder = self._pattern.looked_in(day)
        if not self.many:
            nowhere = "" if folder.is_dir() else f"; there is no folder {folder}"
            return f"looked for {self.where(day)}{nowhere}"
        looked = f"looked for {self._pattern.of(day)} in {folder}"
        return looked if folder.is_dir() else f"{looked}, which is not there"

    def days(self) -> list[str]:
        """The days in the names of files: one listing of each folder, and a look at each file that has one.

        A link that leads out of the allowed folders is no file of a day.
        """
        matches = self._pattern.matches(strict=False)
        return sorted({match.day for match in matches if match.day and self._is_there(match.name)})

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
            state = FileState.of(path)
            settled = state.settled
            digest = self._sha256(path)
        except (FileNotFoundError, NotADirectoryError) as error:
            if among:
                raise _unreadable(str(path), error) from error
            return None
        except OSError as error:
            raise _unreadable(str(path), error) from error
        return FileDelivery(
            path, digest, _printable(name), self._source, self._limits, state=state if settled else None
        )


def seen_from_outside(files: Iterable[tuple[str, Path]]) -> str | None:
    """One text for the sizes, times and numbers of `files` and for their names; None where there is no file.

    Raises:
        OSError: one is not there, or may not be looked at.
    """
    seen = [(name, path.stat()) for name, path in files]
    states = [
        f"{name} {state.st_size} {state.st_mtime_ns} {state.st_ctime_ns} {state.st_ino}"
        for name, state in seen
        if stat.S_ISREG(state.st_mode)
    ]
    return hashlib.sha256(os.fsencode("\n".join(states))).hexdigest() if states else None


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
