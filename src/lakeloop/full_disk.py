"""A full disk as an error that says which one, how much is left and what to do, whoever was writing."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lakeloop.errors import TransientError

_FULL = {
    errno.ENOSPC: "no space is left",
    errno.EDQUOT: "the quota is used up",
    errno.EFBIG: "a file became larger than is allowed",
}
_IN_WORDS = re.compile(r"\[?(?:os error|errno) (\d+)\]?", re.IGNORECASE)
"""How delta-rs and Arrow say the number of an error."""


_ROOM = "room for what is written: the rows of a day in the folder for work and in the lake"
_AGAIN = "nothing half is in the lake; make room there, then this runs again from the beginning"


@contextmanager
def told_when_full(places: Sequence[Path], *, expected: str = _ROOM, remedy: str = _AGAIN) -> Iterator[None]:
    """Turn the errors of a full disk, raised in the block, into one of ours; others pass.

    Args:
        places: the folders that are written to; the fullest is named.
        expected: the room that is needed, in words.
        remedy: what to do.

    Raises:
        TransientError: a disk is full. The next try may find room, and begins from the beginning.
    """
    try:
        yield
    except Exception as error:
        if (why := _why(error)) is None:
            raise
        left, place = min((bytes_left(place), place) for place in places)
        raise TransientError(
            f"cannot write: {why}",
            where=str(place),
            expected=expected,
            found=f"{left / 1e6:.1f} MB free now; {str(error).splitlines()[0][:200]}",
            remedy=remedy,
        ) from error


def _why(error: Exception) -> str | None:
    number = error.errno if isinstance(error, OSError) else None
    if number is None and (said := _IN_WORDS.search(str(error))):
        number = int(said[1])
    return _FULL.get(number) if number is not None else None


def bytes_left(place: Path) -> int:
    """Bytes that this user may still write at `place`, or at the nearest folder above it that is there."""
    there = next(folder for folder in (place, *place.parents) if folder.exists())
    found = os.statvfs(there)
    return found.f_bavail * found.f_frsize
