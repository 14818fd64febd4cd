"""Which days a source has a drop for, told without opening one. Sources read drops."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from lakeloop.errors import ConfigurationError
from lakeloop.settings import Settings
from lakeloop.spec.days import require_day, yesterday
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.paths import confine, day_file
from lakeloop.spec.source import FilesSource

_DAY = r"(\d{4}-\d{2}-\d{2})"


def days_there(loop: LoopSpec, settings: Settings) -> list[str]:
    """The days that have a drop now, oldest first: one listing of a folder, and a look at each name's file.

    Empty when there is none, and when the place cannot be read: ingest says what is wrong with it.
    """
    if not isinstance(loop.source, FilesSource):
        return list(loop.source.partitions)
    return [day for day in _named_days(loop.source, settings) if _is_there(loop.source, day, settings)]


def days_over(loop: LoopSpec, settings: Settings) -> list[str]:
    """The days of `days_there` whose drop is whole: today's file may still grow."""
    there = days_there(loop, settings)
    return [day for day in there if day <= yesterday()] if isinstance(loop.source, FilesSource) else there


def place_of(source: FilesSource) -> tuple[str, str]:
    """The folder that is listed for the days' files, and the part of the path below it that names the day."""
    parts = PurePosixPath(source.path).parts
    first = next(number for number, part in enumerate(parts) if "{partition}" in part)
    return str(PurePosixPath(*parts[:first])), parts[first]


def _named_days(source: FilesSource, settings: Settings) -> list[str]:
    folder, name = place_of(source)
    escaped = [re.escape(text) for text in name.split("{partition}")]
    pattern = re.compile(escaped[0] + _DAY + r"\1".join(escaped[1:]))
    try:
        names = [path.name for path in confine(folder, settings, "source.path").iterdir()]
    except (OSError, ConfigurationError):
        return []
    found = (match[1] for match in map(pattern.fullmatch, names) if match)
    return sorted(day for day in found if _is_a_day(day))


def _is_a_day(text: str) -> bool:
    try:
        require_day(text)
    except ConfigurationError:
        return False
    return True


def _is_there(source: FilesSource, day: str, settings: Settings) -> bool:
    try:
        return day_file(source, day, settings).is_file()
    except (OSError, ConfigurationError):
        return False
