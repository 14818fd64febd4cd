"""Removing files and folders so that a kill in the midst leaves nothing that looks whole.

A folder is renamed first and emptied then; what a kill leaves has a name that nobody takes for anything, and
goes the next time. Links go as links: what they lead to is never touched.
"""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

GOING = ".going-"
"""Begins the names of folders that are being removed."""


def remove(path: Path) -> None:
    """Remove a file, a link, or a folder with all that is in it; nothing happens where there is none.

    Raises:
        OSError: it, or something in it, cannot be removed; of a folder the rest has a name with `GOING`.
    """
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    aside = path
    if not path.name.startswith(GOING):
        aside = path.with_name(f"{GOING}{uuid.uuid4().hex[:12]}-{path.name[:100]}")
        path.rename(aside)
    shutil.rmtree(aside)
