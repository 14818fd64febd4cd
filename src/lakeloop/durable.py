"""Files that are whole or absent, on disk and not only in the page cache; digests of files and folders.

Everything that must survive a kill or a power cut is written through here. Tables are not: they belong
to `lakeloop.lake`.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Self

_BLOCK = 1 << 20
_SETTLED_SECONDS = 2.0
"""Times of files go in steps, of two seconds on some disks."""


def write_atomically(path: Path, content: str | bytes, *, mode: int = 0o666) -> None:
    """Replace `path` with `content`: readers see the old file or the new one, never a part of it.

    `mode`, less the umask, is that of the file from its first byte on.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode() if isinstance(content, str) else content
    # The process id keeps two writers of the same file from sharing one temporary file.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    fsync_directory(path.parent)


def mark_used(path: Path) -> None:
    """Note that what was kept at `path` is of use: what was not used for longest goes first."""
    with suppress(OSError):  # of another user, or gone at this moment
        os.utime(path)


def fsync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_directory(path: Path) -> None:
    """Make the names in `path` durable: a rename lives in the directory, not in the file."""
    fsync_file(path)


def fsync_tree(path: Path) -> None:
    """Make every file and directory below `path` durable, files before the names that point at them.

    Raises:
        OSError: `path` is not there, or a folder in it cannot be read.
    """

    def fail(error: OSError) -> None:  # os.walk passes over what it cannot read, unless told otherwise
        raise error

    for folder, _, names in os.walk(path, topdown=False, onerror=fail):
        for name in names:
            fsync_file(Path(folder) / name)
        fsync_directory(Path(folder))


class FileState(NamedTuple):
    """What is another when a file was written to, or another one took its place."""

    device: int
    number: int
    size: int
    changed_ns: int

    @classmethod
    def of(cls, path: Path) -> Self:
        """That of the file now. Raises OSError as `Path.stat` does."""
        found = path.stat()
        return cls(found.st_dev, found.st_ino, found.st_size, max(found.st_mtime_ns, found.st_ctime_ns))

    @property
    def settled(self) -> bool:
        """Whether the file, written to from now on, has another state: not when it changed just now."""
        return time.time() - self.changed_ns / 1e9 > _SETTLED_SECONDS


def sha256_file(path: Path) -> str:
    """The sha256 of a regular file: a device has no end, and a named pipe none until somebody writes.

    Raises:
        OSError: `path` cannot be read, or leads to something else.
    """
    digest = hashlib.sha256()
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def digest_folder(path: Path, pattern: str = "**/*") -> str:
    """One sha256 over the names and contents of the regular files below `path` that match `pattern`."""
    files = sorted(p for p in path.glob(pattern) if p.is_file() and "__pycache__" not in p.parts)
    return digest_named((file.relative_to(path).as_posix(), sha256_file(file)) for file in files)


def digest_named(digests: Iterable[tuple[str, str]]) -> str:
    """One sha256 over names and the digest of each, in the order in which they come."""
    digest = hashlib.sha256()
    for name, content in digests:
        digest.update(f"{name}\0{content}\n".encode())
    return digest.hexdigest()
