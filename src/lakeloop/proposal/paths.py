"""The `source.path` that stands for files that are there, on a disk or in a store: with the day in it or not.

Files are found by the patterns that ingest reads by. Names that begin with `_` or `.` are no data, as Spark,
Hive and Arrow have it: `_SUCCESS`, `_delta_log`, `.part-0.parquet.crc`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from lakeloop.errors import ConfigurationError
from lakeloop.sources.patterns import GLOB, whole_pattern
from lakeloop.spec.days import DAY_IN_PATH, is_day

MOST_FILES = 10_000
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_VARIES = re.compile(r"[*?{]")
_START = re.compile(r"[^0-9{]*[^0-9A-Za-z{]")
_OF_TABLE = "/_delta_log/"
_NO_DATA = ("_", ".")


def is_pattern(path: str) -> bool:
    """Whether a path stands for many files."""
    return bool(GLOB.search(path)) or DAY_IN_PATH in path


def fixed_folder(path: str) -> str:
    """The folder in which the names of a pattern begin to vary; empty where it is the first."""
    return _VARIES.split(path)[0].rpartition("/")[0]


def tries(asked: str) -> list[str]:
    """Patterns to look for, one after the other: of a folder the files in it, or else those below it."""
    if is_pattern(asked):
        # `drops/**` is what shells call all below; to ingest it is folders.
        return [f"{asked}/*" if PurePosixPath(asked).name == "**" else asked]
    folder = "" if asked in ("", ".", "./") else f"{asked.rstrip('/')}/"
    return [f"{folder}*", f"{folder}**/*"]


def with_data(names: Iterable[str], pattern: str) -> list[str]:
    """Those of `names` that `pattern` meets and that are data by their names; sorted."""
    known, wanted = fixed_folder(pattern), whole_pattern(pattern)
    said = {part[:1] for part in pattern.split("/")}
    found = []
    for name in names:
        varied = name.removeprefix(known).split("/")
        hidden = any(part.startswith(_NO_DATA) and part[0] not in said for part in varied)
        if not hidden and _day_of(wanted, name) is not None:
            found.append(name)
    return sorted(found)


def refuse_tables(names: Iterable[str], root: str = "") -> None:
    """Return when no file of a Delta table is among `names`, all that is below a folder of `root`.

    Raises:
        ConfigurationError: one is. Its files hold rows that were deleted, too.
    """
    tables = sorted({name.partition(_OF_TABLE)[0] for name in names if _OF_TABLE in name})
    if tables:
        raise ConfigurationError(
            "a Delta table is in this folder",
            where="--from",
            expected="a folder of files, or the one of a table",
            found=", ".join(tables[:5]),
            remedy=f"say which table: --from {root}{tables[0]}",
        )


def common_path(names: Sequence[str], asked: str) -> tuple[str, bool]:
    """The `source.path` that stands for files of these names, and whether it has the day in it.

    Args:
        names: of the files that are there.
        asked: the pattern, the folder or the file that a person named.
    """
    if DAY_IN_PATH in asked:
        return _narrowed(asked, names), True
    pattern = asked if is_pattern(asked) else ""
    for where in (True, True), (False, True), (True, False):
        path = _merged([_template(name, *where) for name in names], pattern, by_name=list(names) == [asked])
        if DAY_IN_PATH in path and all(_day_of(whole_pattern(path), name) for name in names):
            return path, True
    if pattern:
        return _narrowed(pattern, names), False
    return _merged([name.split("/") for name in names], "", by_name=True), False


def _day_of(pattern: re.Pattern[str], name: str) -> str | None:
    """The day in a name; empty where the pattern has none, None where the name is another."""
    match = pattern.fullmatch(name)
    day = match.groupdict().get("day", "") if match else None
    return day if not day or is_day(day) else None


def _template(name: str, in_folders: bool, in_file: bool) -> list[str]:
    """The parts of a path, {partition} where a day is."""
    *folders, file = name.split("/")
    dated = [_DAY.sub(_or_day, part) if in_folders else part for part in folders]
    return [*dated, _DAY.sub(_or_day, file) if in_file else file]


def _or_day(match: re.Match[str]) -> str:
    return DAY_IN_PATH if is_day(match[0]) else match[0]


def _merged(paths: Sequence[list[str]], pattern: str, *, by_name: bool) -> str:
    """One path for all: what they share, and else what `pattern` says there, or `*`; `**` for any folders."""
    asked = pattern.split("/")
    if len({len(path) for path in paths}) > 1:
        shared = min(len(path) for path in paths) - 1
        lead = [path[:shared] for path in paths]
        while any(other != lead[0] for other in lead):
            lead = [path[:-1] for path in lead]
        return "/".join([*lead[0], "**", _name([path[-1] for path in paths], asked[-1])])
    same = len(asked) == len(paths[0]) and "**" not in asked
    folders = [
        _folder(set(parts), asked[place] if same else "")
        for place, parts in enumerate(zip(*(path[:-1] for path in paths), strict=True))
    ]
    files = [path[-1] for path in paths]
    # Of a day's folder, part-0.parquet is one of the names that may come; tickets.csv is the one.
    numbered = not by_name and DAY_IN_PATH in "/".join(folders) and re.search("[0-9]", files[0])
    several = numbered or GLOB.search(asked[-1])
    if len(set(files)) == 1 and (DAY_IN_PATH in files[0] or not several):
        return "/".join([*folders, files[0]])
    return "/".join([*folders, _name(files, asked[-1])])


def _folder(names: set[str], asked: str) -> str:
    if len(names) == 1:
        return next(iter(names))
    return "*{partition}*" if all(DAY_IN_PATH in name for name in names) else asked or "*"


def _name(names: Sequence[str], asked: str) -> str:
    """A pattern for names of files."""
    if len(set(names)) == 1 and DAY_IN_PATH in names[0]:
        return names[0]
    if all(DAY_IN_PATH in name for name in names):
        return f"*{DAY_IN_PATH}*{_ending(names)}"
    return asked if asked not in ("", "*", "**") else _any(names)


def _any(names: Sequence[str]) -> str:
    """A pattern for names that are nothing but of one kind; `part-*` where they have no ending."""
    if ending := _ending(names):
        return f"*{ending}"
    starts = {_START.match(name) for name in names}
    found = {start[0] if start else "" for start in starts}
    return f"{found.pop() if len(found) == 1 else ''}*"


def _narrowed(pattern: str, names: Sequence[str]) -> str:
    """`pattern`, which would meet files of any kind, for those of the kind that is there."""
    folder, slash, name = pattern.rpartition("/")
    if name == "**":
        folder, slash, name = pattern, "/", "*"
    return f"{folder}{slash}{name if name != '*' else _any([PurePosixPath(each).name for each in names])}"


def _ending(names: Sequence[str]) -> str:
    """The ending that names share: `.jsonl.gz`, else `.gz`; empty where they share none."""
    for most in (2, 1):
        endings = {"".join(PurePosixPath(name).suffixes[-most:]) for name in names}
        if len(endings) == 1 and not re.search(r"[0-9{]", ending := endings.pop()):
            return ending
    return ""
