"""Files by a pattern, such as `source.path`: {partition} for a day, `*`, `?` in a name, `**` for folders.

Every file and every folder that is looked into is judged by `lakeloop.spec.paths` after links are resolved.
`*` and `?` never meet names that begin with a dot, nor what Spark and others leave beside data (`_SUCCESS`);
`**` follows no links.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from lakeloop.errors import ConfigurationError
from lakeloop.settings import Settings
from lakeloop.spec.days import DAY_IN_PATH, is_day
from lakeloop.spec.paths import SOURCE_PATH, confine, fixed_part

GLOB = re.compile(r"[*?]")
_AS_PATTERN = {"*": "[^/]*", "?": "[^/]"}
_DAY = r"(?P<day>\d{4}-\d{2}-\d{2})"
_NO_DATA = r"\.|_(SUCCESS|metadata|common_metadata|committed_|started_|temporary)"
"""How names begin of what is no data. No other name with `_`: drops may be called so."""
_IS_NO_DATA = re.compile(_NO_DATA)
_MOST_FOLDERS = 100_000


@dataclass(frozen=True)
class Match:
    """A path that fits a pattern; whether it is a file is not known yet."""

    day: str | None
    """The day in its name; None where the pattern has none."""
    name: str
    """As the loop file calls it: relative to the project, or absolute."""


class PathPattern:
    """The paths that `path` stands for, which the key `key` of the loop file says."""

    def __init__(self, path: str, settings: Settings, key: str = SOURCE_PATH) -> None:
        self.text = path
        self._key = key
        self._parts = PurePosixPath(path).parts
        self._settings = settings

    @property
    def many(self) -> bool:
        """Whether it can stand for more than one path of a day."""
        return bool(GLOB.search(self.text))

    def of(self, day: str | None) -> str:
        """The pattern with the day put in."""
        return self.text if day is None else self.text.replace(DAY_IN_PATH, day)

    def real(self, name: str) -> Path:
        """The confined path of a match. Raises ConfigurationError when it leads out."""
        return confine(name, self._settings, self._key)

    def matches(self, day: str | None = None, *, strict: bool = True) -> list[Match]:
        """What fits, of one day or of all, in the order of the names.

        Folders that are not there have nothing. Without `strict`, nor have those that cannot be read.

        Raises:
            ConfigurationError: a folder leads out of the allowed ones, or there are too many folders.
            OSError: a folder cannot be read.
        """
        found = _Walk(self._settings, self._key, strict=strict).paths(PurePosixPath(), self._parts, day)
        return sorted(set(found), key=lambda match: match.name)

    def looked_in(self, day: str | None) -> Path:
        """The folder where the first name with `*` or `?` begins; the file's folder where there is none."""
        found = self.real(fixed_part(self.of(day)))
        return found if self.many else found.parent


class _Walk:
    """One look through folders, along the parts of a pattern."""

    def __init__(self, settings: Settings, key: str, *, strict: bool) -> None:
        self._settings = settings
        self._key = key
        self._strict = strict
        self._folders = 0

    def paths(self, folder: PurePosixPath, parts: tuple[str, ...], day: str | None) -> Iterator[Match]:
        """What of `folder` and below fits `parts`."""
        if not parts:
            # A path that is said in full is the caller's to look for.
            if not self._folders or os.path.lexists(self._settings.root / folder):
                yield Match(day, str(folder))
            return
        part = parts[0].replace(DAY_IN_PATH, day) if day else parts[0]
        if part == "**":
            entries = self._entries(folder)
            yield from self.paths(folder, parts[1:], day)
            for entry in entries:
                if entry.is_dir(follow_symlinks=False) and not _IS_NO_DATA.match(entry.name):
                    yield from self.paths(folder / entry.name, parts, day)
        elif DAY_IN_PATH in part or GLOB.search(part):
            pattern = _name_pattern(part)
            for entry in self._entries(folder):
                if match := pattern.fullmatch(entry.name):
                    named = match.groupdict().get("day") or day
                    if named is None or is_day(named):
                        yield from self.paths(folder / entry.name, parts[1:], named)
        else:
            yield from self.paths(folder / part, parts[1:], day)

    def _entries(self, folder: PurePosixPath) -> list[os.DirEntry[str]]:
        self._folders += 1
        if self._folders > _MOST_FOLDERS:
            raise ConfigurationError(
                "too many folders to look through",
                where=self._key,
                expected=f"at most {_MOST_FOLDERS}",
                found=str(folder),
                remedy=f"say more of the path in {self._key}",
            )
        try:
            with os.scandir(confine(str(folder), self._settings, self._key)) as entries:
                return list(entries)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except (OSError, ConfigurationError):
            if self._strict:
                raise
            return []


def whole_pattern(path: str) -> re.Pattern[str]:
    """All names of a path in one pattern, for a place that lists paths in full; the day as in a name."""
    pattern, names = "", path.split("/")
    for number, part in enumerate(names):
        if part == "**":
            pattern += rf"(?:(?!{_NO_DATA})[^/]+/)*"
            continue
        varies = DAY_IN_PATH in part or GLOB.search(part)
        pattern += rf"(?!{_NO_DATA})" if varies and not part.startswith((".", "_")) else ""
        for place, text in enumerate(part.split(DAY_IN_PATH)):
            pattern += "" if not place else "(?P=day)" if "(?P<day>" in pattern else _DAY
            pattern += "".join(_AS_PATTERN.get(char, re.escape(char)) for char in text)
        pattern += "/" if number < len(names) - 1 else ""
    return re.compile(pattern, re.DOTALL)


def _name_pattern(part: str) -> re.Pattern[str]:
    """One name of a path, `{partition}` as group `day` that is the same each time."""
    texts = [
        "".join(_AS_PATTERN.get(char, re.escape(char)) for char in text) for text in part.split(DAY_IN_PATH)
    ]
    pattern = texts[0] + "".join(
        (_DAY if place == 0 else "(?P=day)") + text for place, text in enumerate(texts[1:])
    )
    return re.compile((rf"(?!{_NO_DATA})" if not part.startswith((".", "_")) else "") + pattern, re.DOTALL)
