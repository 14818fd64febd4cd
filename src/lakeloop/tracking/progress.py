"""How far a journal is mirrored: a small file beside it, written only after W&B has the run whole.

A mirror that dies in between leaves no such file: the next mirror copies the journal from its beginning.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from lakeloop.durable import write_atomically
from lakeloop.records import Frozen
from lakeloop.tracking.journal import SUFFIX, Entry, has_writer

_MARKER_SUFFIX = ".mirrored.json"


class Mirrored(Frozen):
    """What W&B has of one journal."""

    size: int = Field(ge=0)
    """Bytes of the journal that W&B has; a longer journal has news."""
    mode: Literal["online", "offline"]
    run_id: str
    run: str
    """Where to look: the run's URL, or its folder when mirrored offline. Empty for an empty journal."""
    exit_code: int
    finished_at: datetime

    def write(self, journal: Path) -> None:
        write_atomically(_marker(journal), self.model_dump_json() + "\n")


def mirrored(journal: Path) -> Mirrored | None:
    """What W&B has of `journal`; None when it has nothing yet."""
    try:
        return Mirrored.model_validate_json(_marker(journal).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def waiting(journals: Path) -> list[Path]:
    """Journals with something that W&B does not have, oldest change first, also while they are written."""
    found = []
    for path in journals.glob(f"*/*/*/*{SUFFIX}"):
        status = path.stat()
        done = mirrored(path)
        if (done.size if done else 0) < status.st_size:
            found.append((status.st_mtime_ns, path))
    return [path for _, path in sorted(found)]


def ended(journals: Path) -> list[Path]:
    """The journals of `waiting` that no process writes any more."""
    return [path for path in waiting(journals) if not has_writer(path)]


def run_id(first: Entry) -> str:
    """The W&B run id of the journal that begins with `first`: the same in every replay.

    The time is part of it: two installations that share a W&B project give their runs the same names.
    """
    identity = first.data
    parts = (identity["loop"], identity["stage"], identity["partition"], identity["run"], first.time)
    return hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()[:16]


def _marker(journal: Path) -> Path:
    return journal.with_name(journal.name.removesuffix(SUFFIX) + _MARKER_SUFFIX)
