"""Folders that belong to one attempt alone, and are swept a day later when the attempt never ended.

Two attempts at the same work can overlap (a retry does not wait for the death of the first), so they must
not share files. Each is locked for as long as its attempt lives, however long that is.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lakeloop.locks import take
from lakeloop.removal import remove

_ABANDONED_SECONDS = 24 * 3600
"""A folder whose attempt never ended is removed by a later attempt when it is older than this."""


@contextmanager
def kept_folder(work: Path, name: str) -> Iterator[Path]:
    """An empty folder for this attempt alone; however the block ends, it becomes `work`/`name`.

    Afterwards one folder is left, that of the attempt that ended last: a person may look into it.
    """
    with _made(work, name) as folder:
        try:
            yield folder
        finally:
            _become(folder, work / name)


@contextmanager
def passing_folder(work: Path, name: str) -> Iterator[Path]:
    """An empty folder for this attempt alone, gone when the block ends."""
    with _made(work, name) as folder:
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _made(work: Path, name: str) -> Iterator[Path]:
    """A new folder, locked within the block, whatever it is called in the end."""
    work.mkdir(parents=True, exist_ok=True)
    for folder in work.glob(f".{name}-*"):
        remove_abandoned(folder)
    folder = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=work))
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        take(descriptor)
        yield folder
    finally:
        os.close(descriptor)


def _become(folder: Path, final: Path) -> None:
    replaced = folder.with_name(f"{folder.name}-replaced")
    try:
        if final.exists():
            final.rename(replaced)
        folder.rename(final)
    except OSError:
        # Another attempt put its folder there in the same moment; one of them is enough.
        shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(replaced, ignore_errors=True)


def remove_abandoned(folder: Path) -> bool:
    """Remove a folder that no attempt has any more, a day after it was left; returns whether it is gone."""
    with suppress(OSError):  # its attempt ended in this moment, or it is another user's
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            # Attempts of an earlier version hold no lock.
            if os.fstat(descriptor).st_mtime < time.time() - _ABANDONED_SECONDS and take(descriptor):
                remove(folder)
                return True
        finally:
            os.close(descriptor)
    return False
