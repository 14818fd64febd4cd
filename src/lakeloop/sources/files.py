"""Source `files`: somebody else puts one file a day where the loop file says."""

from __future__ import annotations

import stat
from pathlib import Path

from lakeloop.durable import sha256_file
from lakeloop.errors import ConfigurationError
from lakeloop.settings import Settings
from lakeloop.sources.base import Drop
from lakeloop.spec.models import FilesSource, LoopSpec
from lakeloop.spec.paths import day_file


class FileDrops:
    """Daily files below the project or an allowed data root; a link that leads elsewhere is refused."""

    def __init__(self, loop: LoopSpec, settings: Settings) -> None:
        assert isinstance(loop.source, FilesSource)
        self._source = loop.source
        self._settings = settings

    def drop(self, partition: str) -> Drop | None:
        """The file of the day.

        Raises:
            ConfigurationError: the path leads out of the allowed folders, or to a folder; or what is there
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
        return Drop(path, digest, self._source.path.replace("{partition}", partition))

    def absence(self, partition: str) -> str:
        return f"no file for {partition}: looked for {self._path(partition)}"

    def _path(self, partition: str) -> Path:
        return day_file(self._source, partition, self._settings)
