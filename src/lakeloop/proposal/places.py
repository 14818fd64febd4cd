"""Files that a person points at, and the path of a loop file for them: with the day in it, or days inside."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from lakeloop.errors import ConfigurationError
from lakeloop.proposal.given import Given, Pointer
from lakeloop.proposal.paths import (
    MOST_FILES,
    common_path,
    fixed_folder,
    is_pattern,
    refuse_tables,
    tries,
    with_data,
)
from lakeloop.proposal.sample import Sample, take_sample
from lakeloop.settings import Settings
from lakeloop.sources.patterns import PathPattern
from lakeloop.spec.paths import confine


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
    """The place of a file, of the files in or below a folder, or of a pattern (`*.csv`, `{partition}.csv`).

    Raises:
        ConfigurationError: there is no file, there are too many, they lie where no loop may read, or are
            those of a Delta table.
    """
    asked = _asked(given, settings)
    names = _names(asked, settings)
    if not names or len(names) > MOST_FILES:
        raise ConfigurationError(
            "no file there" if not names else "too many files there",
            where="--from",
            expected=f"a file, a folder of at most {MOST_FILES} files, or a pattern such as 'drops/**/*.csv'",
            found=asked,
            remedy="" if not names else "name a part of them: a pattern, or a folder in it",
        )
    path, names_day = common_path(names, asked)
    return Place(path, tuple(settings.root / name for name in names), names_day)


def _asked(given: str, settings: Settings) -> str:
    """What a person named, as a loop file has it."""
    known = fixed_folder(given) if is_pattern(given) else given
    folder = shown(from_here(known, settings), settings)
    return str(PurePosixPath(folder) / given.removeprefix(known).lstrip("/")) if known != given else folder


def _names(asked: str, settings: Settings) -> list[str]:
    """The files that are there: those that are empty only where all are."""
    start = settings.root / (fixed_folder(asked) if is_pattern(asked) else asked)
    if start.exists():
        confine(str(start), settings, "--from")
    if not is_pattern(asked) and start.is_file():
        return [asked]
    for pattern in tries(asked):
        known = PathPattern(pattern, settings)
        there = [match.name for match in known.matches(strict=False)]
        if not is_pattern(asked):
            refuse_tables(there)
        names = with_data(there, pattern)
        if found := {name: size for name in names if (size := _size(name, known)) is not None}:
            return [name for name, size in found.items() if size] or list(found)
    return []


def _size(name: str, pattern: PathPattern) -> int | None:
    """None for what is no file, or leads out of the allowed folders."""
    try:
        file = pattern.real(name)
        return file.stat().st_size if file.is_file() else None
    except (OSError, ConfigurationError):
        return None


def from_here(given: str, settings: Settings) -> Path:
    """`given` from the working folder; from the project where it is not there."""
    start = Path(given).expanduser()
    start = start if start.is_absolute() else Path.cwd() / start
    if not start.exists() and not Path(given).is_absolute():
        start = settings.root / given
    return start


def shown(file: Path, settings: Settings) -> str:
    """`file` as a loop file names it: from the project's root on where it is inside."""
    file = file.absolute()
    return str(file.relative_to(settings.root)) if file.is_relative_to(settings.root) else str(file)
