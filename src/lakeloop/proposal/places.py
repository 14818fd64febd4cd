"""Files that a person points at, and the path of a loop file for them: with the day in it, or days inside."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lakeloop.errors import ConfigurationError
from lakeloop.proposal.given import Given, Pointer
from lakeloop.proposal.sample import Sample, take_sample
from lakeloop.settings import Settings
from lakeloop.spec.days import is_day
from lakeloop.spec.paths import confine

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOST_FILES = 10_000


@dataclass(frozen=True)
class Place:
    """What `source.path` will be, and the files that are there now."""

    path: str
    files: tuple[Path, ...]
    names_day: bool
    """The path has {partition} in it."""


def look(pointer: Pointer) -> Given:
    """The files at a path or a pattern.

    Raises:
        ConfigurationError: there is no file, or it does not lie where loop files may read.
        DataError: no records in it that can be read.
    """
    place = place_of(pointer.text, pointer.settings)
    sample = take_sample(place.files)
    return Given(
        place.path,
        str(sample.format),
        {"kind": "files", "path": place.path, **written(sample)},
        sample,
        says_day=place.names_day,
        dating="name each file after its day, such as 2026-11-20.csv; or name the column: --time COLUMN",
    )


def written(sample: Sample) -> dict[str, str]:
    """Keys of a loop file that say how files are written."""
    keys = {"format": str(sample.format)}
    if sample.format == "csv" and sample.delimiter != ",":
        keys["delimiter"] = sample.delimiter
    if sample.encoding != "utf-8":
        keys["encoding"] = sample.encoding
    return keys


def place_of(given: str, settings: Settings) -> Place:
    """The place of a file, of the files in a folder, or of those of a pattern (`*.csv`, `{partition}.csv`).

    Raises:
        ConfigurationError: there is no file, or it does not lie where loop files may read.
    """
    files = _files(as_pattern(given), settings)
    for file in files[:1]:
        confine(str(file), settings, "--from")
    path, names_day = common_path([shown(file, settings) for file in files])
    return Place(path, files, names_day)


def as_pattern(given: str) -> str:
    """A path as a loop file has it, with `{partition}` for the day, as a pattern for all days."""
    return given.replace("{partition}", "*")


def common_path(names: Sequence[str]) -> tuple[str, bool]:
    """The `source.path` that stands for files of these names, and whether it has the day in it."""
    templates = {_DAY.sub(_or_day, name) for name in names}
    if len(templates) == 1 and "{partition}" in (template := templates.pop()):
        return template, True
    if len(names) == 1:
        return names[0], False
    folders = {name.rpartition("/")[0] for name in templates}
    if len(folders) == 1 and "{partition}" in (folder := folders.pop()):
        return _common([f"{folder}/{name.rpartition('/')[2]}" for name in names], "*"), True
    if all("{partition}" in _DAY.sub(_or_day, name) for name in names):
        return _common(names, "*{partition}*"), True
    return _common(names, "*"), False


def _files(given: str, settings: Settings) -> tuple[Path, ...]:
    start = from_here(given, settings)
    if start.is_dir():
        found = [file for file in start.iterdir() if file.is_file() and not file.name.startswith(".")]
    elif start.is_file():
        found = [start]
    elif any(sign in start.name for sign in "*?"):
        found = [file for file in start.parent.glob(start.name) if file.is_file()]
    else:
        found = []
    if not found or len(found) > _MOST_FILES:
        raise ConfigurationError(
            "no file there" if not found else "too many files there",
            where="--from",
            expected=f"a file, a folder of at most {_MOST_FILES} files, or a pattern such as 'drops/*.csv'",
            found=str(start),
        )
    return tuple(sorted(found))


def from_here(given: str, settings: Settings) -> Path:
    """`given` from the working folder; from the project where it is not there."""
    start = Path(given).expanduser()
    start = start if start.is_absolute() else Path.cwd() / start
    if not start.exists() and not Path(given).is_absolute():
        start = settings.root / given
    return start


def _or_day(match: re.Match[str]) -> str:
    return "{partition}" if is_day(match[0]) else match[0]


def shown(file: Path, settings: Settings) -> str:
    """`file` as a loop file names it: from the project's root on where it is inside."""
    file = file.absolute()
    return str(file.relative_to(settings.root)) if file.is_relative_to(settings.root) else str(file)


def _common(names: Sequence[str], middle: str) -> str:
    """A pattern for files of one folder: `middle`, and their ending where they share it."""
    folder = names[0].rpartition("/")[0]
    endings = {"".join(Path(name).suffixes[-2:]) for name in names}
    return f"{folder}{'/' * bool(folder)}{middle}{endings.pop() if len(endings) == 1 else ''}"
