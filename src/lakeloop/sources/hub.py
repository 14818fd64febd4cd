"""Source `hub`: the shards of a data set's split, from a folder or from the cache of huggingface_hub.

Its rows are of the day that the loop file names, or of that of a column: then it is split once, as files with
many days are. What the card of a data set says of its files is not looked at; names are.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from lakeloop.durable import sha256_file
from lakeloop.errors import ConfigurationError, LakeloopError
from lakeloop.hub import DATASETS, HUB, snapshot
from lakeloop.settings import Settings
from lakeloop.sources.base import Source
from lakeloop.sources.delivery import FileDelivery, FilesDelivery
from lakeloop.sources.files import ManyDays
from lakeloop.sources.formats.registry import FORMATS
from lakeloop.sources.local_files import seen_from_outside
from lakeloop.sources.packed import Limits
from lakeloop.spec.hub import HubSource
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.paths import DATASET_PATH, confine

_PACKED = ("", ".gz", ".zst", ".zip")


def hub_source(loop: LoopSpec, settings: Settings) -> Source:
    """The source `hub` of a loop: all of one day, or by the day of each record."""
    assert isinstance(loop.source, HubSource)
    if loop.source.partition_by:
        source = loop.source
        return ManyDays(loop, settings, lambda sha256: Shards(source, settings, sha256))
    return OneDay(loop, settings)


class Shards:
    """The files of a split, in the order of their names; a `Place` without days in names."""

    many = True

    def __init__(
        self, source: HubSource, settings: Settings, sha256: Callable[[Path], str] | None = None
    ) -> None:
        self._source = source
        self._settings = settings
        self._sha256 = sha256 or sha256_file
        self._limits = Limits(settings.unpacked_bytes, settings.unpacked_ratio)

    def of(self, day: str | None) -> str:  # noqa: ARG002 - of all days
        """The data set, as the loop file calls it."""
        return self._source.dataset

    def found(self, day: str | None) -> list[FileDelivery]:  # noqa: ARG002
        """The files, fetched where they are on the hub.

        Raises:
            ConfigurationError: there is no such folder, data set or split; or it cannot be had from here.
            ServiceError: the hub does not answer.
        """
        source = self._source
        folder = folder_of(source.dataset, self._settings)
        try:
            return [
                FileDelivery(path, self._sha256(path), str(path.relative_to(folder)), source, self._limits)
                for path in allowed_shards(
                    source.dataset, folder, source.format, source.split, self._settings
                )
            ]
        except OSError as error:
            raise ConfigurationError(
                "cannot read it",
                where=str(error.filename or folder),
                expected="files that this user may read",
                found=error.strerror or str(error),
                remedy="correct source.dataset in the loop file, or the permissions",
            ) from error

    def glance(self, day: str | None) -> str | None:  # noqa: ARG002
        """Names, sizes and times of the files that are here; nothing is fetched."""
        try:
            folder = folder_of(self._source.dataset, self._settings, fetch=False)
            found = shards(folder, self._source.format, self._source.split)
            return seen_from_outside((str(path), path) for path in found)
        except (LakeloopError, OSError):
            return None

    def where(self, day: str | None) -> str:  # noqa: ARG002
        """The data set."""
        return self._source.dataset

    def nothing(self, day: str | None) -> str:  # noqa: ARG002
        """What was looked for in vain."""
        return f"looked for files of split {self._source.split} in {self._source.dataset}"

    def days(self) -> list[str]:
        """None: names say no days."""
        return []


class OneDay:
    """A data set without dates: all of it is the delivery of the day `source.day`."""

    replays = True

    def __init__(self, loop: LoopSpec, settings: Settings) -> None:
        assert isinstance(loop.source, HubSource)
        self.place = loop.source.dataset
        self._day = str(loop.source.day)
        self._shards = Shards(loop.source, settings)

    def find(self, partition: str) -> FilesDelivery | None:
        """All files on the day of the data set; None on others. Raises as `Shards.found`."""
        if partition != self._day:
            return None
        return FilesDelivery(self._shards.found(None), self.place, self.place)

    def glance(self, partition: str) -> str | None:
        """See `Shards.glance`."""
        return self._shards.glance(None) if partition == self._day else None

    def unread_bytes(self) -> int | None:
        """0: the files are here; None where they have to be fetched."""
        return 0 if self._shards.glance(None) else None

    def absence(self, partition: str) -> str:
        return f"no row of {partition} in {self.place}: all of it is of {self._day} (source.day)"

    def partitions(self) -> list[str]:
        """The day of the data set, whether it was fetched already or not."""
        return [self._day]


def folder_of(dataset: str, settings: Settings, *, fetch: bool = True) -> Path:
    """The folder of a data set on this machine; one of the hub is fetched with `fetch`, where it is not here.

    Raises:
        ConfigurationError: there is no such folder or data set, or the hub may not be asked from here.
        ServiceError: the hub does not answer.
    """
    if not dataset.startswith(HUB):
        folder = confine(dataset, settings, DATASET_PATH)
        if not folder.is_dir():
            raise ConfigurationError(
                "there is no such folder",
                where=DATASET_PATH,
                expected="the folder of a data set, or hub:OWNER/NAME@REVISION",
                found=str(folder),
            )
        return folder
    return snapshot(dataset, DATASETS, fetch=fetch)


def allowed_shards(
    dataset: str, folder: Path, file_format: str, split: str, settings: Settings
) -> list[Path]:
    """As `shards`; in a folder of the loop file's choice no link may lead out of where loops may read."""
    found = shards(folder, file_format, split)
    if not dataset.startswith(HUB):
        for path in found:
            confine(str(path), settings, DATASET_PATH)
    return found


def shards(folder: Path, file_format: str, split: str) -> list[Path]:
    """The files of a format and a split below a folder, by their names.

    Raises:
        ConfigurationError: there are none.
        OSError: a folder cannot be read.
    """
    endings = tuple(f"{suffix}{packed}" for suffix in FORMATS[file_format].suffixes for packed in _PACKED)
    there = [
        path
        for path in sorted(folder.rglob("*"))
        if path.name.lower().endswith(endings)
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    named = re.compile(rf"(?:^|[/._-]){re.escape(split)}(?:[/._-]|$)")
    found = [path for path in there if named.search(path.relative_to(folder).as_posix())]
    if not found and split == "train" and not any(_OTHER.search(path.stem) for path in there):
        found = there
    if found:
        return found
    raise ConfigurationError(
        "no file of this split",
        where=str(folder),
        expected=f"files such as {split}-00000-of-00001{endings[0]}",
        found=", ".join(path.relative_to(folder).as_posix() for path in there[:5])
        or "no file of this format",
        remedy="correct source.split or source.format in the loop file",
    )


_OTHER = re.compile(r"(?:^|[._-])(?:test|validation|valid|dev|eval)(?:[._-]|$)")
"""Names of splits that are not `train`."""
