"""Source `files`: one file a day, put by others where the loop file says. And a file as a delivery."""

from __future__ import annotations

import hashlib
import io
import re
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from lakeloop.durable import sha256_file
from lakeloop.errors import ConfigurationError, TransientError
from lakeloop.settings import Settings
from lakeloop.sources.base import Block
from lakeloop.sources.formats.registry import reader_of
from lakeloop.spec.contract import SourceBase
from lakeloop.spec.days import is_day
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.paths import confine, day_file
from lakeloop.spec.source import FilesSource

_DAY = r"(\d{4}-\d{2}-\d{2})"


class FileDelivery:
    """One file, named by the sha256 of its bytes.

    Args:
        path: where it lies on this machine.
        sha256: of its bytes, hex.
        name: how rows refer to it.
        source: what the loop file declares of it.
    """

    def __init__(self, path: Path, sha256: str, name: str, source: SourceBase) -> None:
        self.path = path
        self.name = name
        self.identity = f"sha256:{sha256}"
        self._source = source
        self._read = hashlib.sha256()

    @property
    def where(self) -> str:
        return str(self.path)

    def blocks(self) -> Iterator[Block]:
        """The records, in the order of the file; see `Delivery`. Raises OSError when it cannot be read."""
        self._read = hashlib.sha256()
        with self.path.open("rb", buffering=0) as file:
            hashed = cast("BinaryIO", _HashedFile(file, self._read))
            yield from reader_of(self._source)(hashed, self.where, self._source)

    def require_unchanged(self) -> None:
        """Compare the bytes that `blocks` has read with those that the identity names; see `Delivery`."""
        if (found := f"sha256:{self._read.hexdigest()}") != self.identity:
            raise TransientError(
                "the file changed while it was read",
                where=self.where,
                expected=self.identity[:19],
                found=found[:19],
                remedy="nothing was published; put files there by renaming, then this runs again",
            )


class FileDrops:
    """Daily files below the project or an allowed data root; a link that leads elsewhere is refused."""

    replays = False

    def __init__(self, loop: LoopSpec, settings: Settings) -> None:
        assert isinstance(loop.source, FilesSource)
        self._source = loop.source
        self._settings = settings

    @property
    def place(self) -> str:
        return self._source.path

    def find(self, partition: str) -> FileDelivery | None:
        """The file of the day; None when there is none.

        Raises:
            ConfigurationError: the path leads out of the allowed folders, or to a folder, or to a file that
                cannot be read.
        """
        path = self._path(partition)
        try:
            # Not Path.exists: whether it hides an error such as a forbidden folder depends on the error.
            if not stat.S_ISREG(path.stat().st_mode):
                raise ConfigurationError(
                    "not a file", where="source.path", expected="a path of one file a day", found=str(path)
                )
            digest = sha256_file(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise ConfigurationError(
                "cannot read it",
                where=str(path),
                expected="a file that this user may read, each name at most 255 bytes long",
                found=error.strerror or str(error),
                remedy="correct source.path in the loop file, or the permissions of the file and its folders",
            ) from error
        name = self._source.path.replace("{partition}", partition)
        return FileDelivery(path, digest, name, self._source)

    def absence(self, partition: str) -> str:
        path = self._path(partition)
        nowhere = "" if path.parent.is_dir() else f"; there is no folder {path.parent}"
        return f"no file for {partition}: looked for {path}{nowhere}"

    def partitions(self) -> list[str]:
        """The days in the names of files: one listing of a folder, and a look at each file that has one.

        A link that leads out of the allowed folders is no file of a day.
        """
        return [day for day in self._named_days() if self._is_there(day)]

    def _named_days(self) -> list[str]:
        parts = PurePosixPath(self._source.path).parts
        first = next(number for number, part in enumerate(parts) if "{partition}" in part)
        begin, *others = [re.escape(text) for text in parts[first].split("{partition}")]
        pattern = re.compile(begin + _DAY + r"\1".join(others))
        try:
            folder = confine(str(PurePosixPath(*parts[:first])), self._settings, "source.path")
            names = [path.name for path in folder.iterdir()]
        except (OSError, ConfigurationError):
            return []
        return sorted(match[1] for match in map(pattern.fullmatch, names) if match and is_day(match[1]))

    def _is_there(self, day: str) -> bool:
        try:
            return self._path(day).is_file()
        except (OSError, ConfigurationError):
            return False

    def _path(self, partition: str) -> Path:
        return day_file(self._source, partition, self._settings)


class _HashedFile(io.RawIOBase):
    """A file that is read from its beginning to its end, hashed on the way."""

    def __init__(self, file: io.RawIOBase, digest: hashlib._Hash) -> None:
        self._file = file
        self._digest = digest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int | None:  # type: ignore[override]
        count = self._file.readinto(buffer)
        if count:
            self._digest.update(memoryview(buffer)[:count])
        return count
