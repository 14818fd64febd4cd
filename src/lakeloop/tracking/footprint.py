"""What a file or folder looks like from outside: enough to see, later, that it is not the same any more.

A digest would be certain and read every byte; artifacts carry digests of their own where that matters.
"""

from __future__ import annotations

from pathlib import Path


def footprint(path: Path) -> dict[str, int] | None:
    """Number of files, bytes in all, newest change (ns since the epoch); None when `path` has no file."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    try:
        states = [file.stat() for file in files]
    except FileNotFoundError:
        return None
    if not states:
        return None
    return {
        "files": len(states),
        "bytes": sum(state.st_size for state in states),
        "modified_ns": max(state.st_mtime_ns for state in states),
    }
