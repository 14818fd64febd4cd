"""Folders that belong to one attempt alone, and are swept a day later when the attempt never ended.

Two attempts at the same work can overlap (a retry does not wait for the death of the first), so they must
not share files.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_ABANDONED_SECONDS = 24 * 3600
"""A folder whose attempt never ended is removed by a later attempt when it is older than this."""


@contextmanager
def kept_folder(work: Path, name: str) -> Iterator[Path]:
    """An empty folder for this attempt alone; however the block ends, it becomes `work`/`name`.

    Afterwards one folder is left, that of the attempt that ended last: a person may look into it.
    """
    folder = _make(work, name)
    try:
        yield folder
    finally:
        _become(folder, work / name)


@contextmanager
def passing_folder(work: Path, name: str) -> Iterator[Path]:
    """An empty folder for this attempt alone, gone when the block ends."""
    folder = _make(work, name)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _make(work: Path, name: str) -> Path:
    work.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(work, name)
    return Path(tempfile.mkdtemp(prefix=f".{name}-", dir=work))


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


def _remove_abandoned(work: Path, name: str) -> None:
    oldest = time.time() - _ABANDONED_SECONDS
    for folder in work.glob(f".{name}-*"):
        with suppress(FileNotFoundError):  # its attempt ended in this moment
            if folder.stat().st_mtime < oldest:
                shutil.rmtree(folder, ignore_errors=True)
