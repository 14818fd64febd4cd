"""Files of public data sets, found or missed with a word on what was looked for."""

from __future__ import annotations

from pathlib import Path

from lakeloop.errors import DataError


def the_file(folder: Path, name: str) -> Path:
    """The file called `name` in `folder`.

    Raises:
        DataError: it is not there.
    """
    path = folder / name
    if path.is_file():
        return path
    there = sorted(each.name for each in folder.iterdir())[:8] if folder.is_dir() else []
    raise DataError(
        "the data set is not there as it is published",
        where=str(folder),
        expected=f"the file {name}",
        found=", ".join(there) or "no folder, or an empty one",
        remedy="name the folder that holds the files of the data set, unpacked",
    )
