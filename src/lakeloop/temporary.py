"""A folder for what a process, and what it starts, leaves in the system's folder for temporary files.

Libraries clear up there when a process ends, and not when it is killed. All of it lies in one folder, which
is locked for as long as one of these processes lives, and which the next process of ours removes after that.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lakeloop.locks import take

PREFIX = "lakeloop-tmp-"
_VARIABLE = "TMPDIR"
_TRIES = 10


@dataclass(frozen=True)
class Own:
    """What children are given; both are empty where no folder could be made."""

    environment: Mapping[str, str] = field(default_factory=dict)
    descriptors: tuple[int, ...] = ()
    """Who inherits them keeps the folder."""


def system_folder() -> Path:
    """The system's folder for temporary files, also for a process that has one of its own in it."""
    found = Path(tempfile.gettempdir())
    return found.parent if found.name.startswith(PREFIX) else found


@contextmanager
def for_children() -> Iterator[Own]:
    """A folder for what the children of this process make there; gone when the block ends."""
    sweep()
    made = _make(system_folder())
    if made is None:
        yield Own()
        return
    path, descriptor = made
    try:
        yield Own({_VARIABLE: str(path)}, (descriptor,))
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(descriptor)


@contextmanager
def for_this_process() -> Iterator[None]:
    """The same for this process too, in all its threads."""
    before, known = os.environ.get(_VARIABLE), tempfile.tempdir
    with for_children() as own:
        if own.environment:
            os.environ.update(own.environment)
            tempfile.tempdir = None  # asked for anew when it is needed
        try:
            yield
        finally:
            tempfile.tempdir = known
            if before is None:
                os.environ.pop(_VARIABLE, None)
            else:
                os.environ[_VARIABLE] = before


def abandoned() -> Iterator[Path]:
    """The folders of this user that no process has any more; each is locked while it is looked at."""
    for path in sorted(system_folder().glob(f"{PREFIX}*")):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:  # gone by now, of another user, or no folder
            continue
        try:
            if os.fstat(descriptor).st_uid == os.geteuid() and take(descriptor):
                yield path
        finally:
            os.close(descriptor)


def sweep() -> None:
    """Remove the folders of this user that no process has any more."""
    for path in abandoned():
        shutil.rmtree(path, ignore_errors=True)


def _make(parent: Path) -> tuple[Path, int] | None:
    """A new folder and a locked descriptor of it; None where the disk takes none."""
    for _ in range(_TRIES):
        try:
            path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:  # another process saw it unlocked, and removed it
            continue
        except OSError:
            return None
        if take(descriptor) and path.exists():
            return path, descriptor
        os.close(descriptor)
    return None
