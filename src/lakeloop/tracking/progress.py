"""How far a journal is mirrored: a small file beside it, written only after W&B has the run whole.

A mirror that dies in between leaves no such file: the next mirror copies the journal from its beginning.
Another file says that W&B does not take a journal: once it is set aside, it keeps no other one from W&B.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from lakeloop.durable import write_atomically
from lakeloop.records import Frozen
from lakeloop.tracking.journal import SUFFIX, Entry, has_writer

_MARKER_SUFFIX = ".mirrored.json"
_REFUSED_SUFFIX = ".refused.json"


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
        _refusal(journal).unlink(missing_ok=True)


class Refused(Frozen):
    """Why W&B did not take one journal while it took others, or said that it never will."""

    reason: str
    tries: int = Field(ge=0)
    """How often W&B took others at that time."""
    set_aside: bool
    """No mirror tries it again unless a person asks for that; false: it may still be tried."""
    at: datetime

    def write(self, journal: Path) -> None:
        write_atomically(_refusal(journal), self.model_dump_json() + "\n")


def mirrored(journal: Path) -> Mirrored | None:
    """What W&B has of `journal`; None when it has nothing yet."""
    try:
        return Mirrored.model_validate_json(_marker(journal).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def refused(journal: Path) -> Refused | None:
    """What is known of W&B not taking `journal`; None when nothing is."""
    try:
        return Refused.model_validate_json(_refusal(journal).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def set_aside(journals: Path, loop: str = "*") -> Iterator[tuple[Path, Refused]]:
    """The journals, of one loop or of all, that W&B does not take, oldest first, and why."""
    for marker in sorted(journals.glob(f"{loop}/*/*/*{_REFUSED_SUFFIX}"), key=_age):
        journal = marker.with_name(marker.name.removesuffix(_REFUSED_SUFFIX) + SUFFIX)
        if (found := refused(journal)) and found.set_aside:
            yield journal, found


def take_back(journals: Path, loop: str = "*") -> int:
    """Have the journals that were set aside tried again by the next mirror; returns how many there are."""
    found = [journal for journal, _ in set_aside(journals, loop)]
    for journal in found:
        _refusal(journal).unlink(missing_ok=True)
    return len(found)


def waiting(journals: Path) -> list[Path]:
    """Journals with something that W&B does not have, oldest change first, also while they are written.

    Those that were set aside do not wait; those that W&B did not take before come last.
    """
    found = []
    for path in journals.glob(f"*/*/*/*{SUFFIX}"):
        status = path.stat()
        done = mirrored(path)
        before = refused(path)
        if (done.size if done else 0) < status.st_size and not (before and before.set_aside):
            found.append((before is not None, status.st_mtime_ns, path))
    return [path for *_, path in sorted(found)]


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


def _age(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:  # taken back at this moment
        return 0


def _refusal(journal: Path) -> Path:
    return journal.with_name(journal.name.removesuffix(SUFFIX) + _REFUSED_SUFFIX)


def _marker(journal: Path) -> Path:
    return journal.with_name(journal.name.removesuffix(SUFFIX) + _MARKER_SUFFIX)
