"""What runs now and what failed last, from the journals of this machine: the ledger has only what ended well.

A journal is locked while its writer lives. One that ended says how; one that neither ended nor has a writer
is of a process that was killed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from lakeloop.tracking.journal import SUFFIX, has_writer

_END_BYTES = 1 << 16
"""The last line of a journal that ended is short; of one that did not, it does not matter."""
_KILLED = "its process was killed, or the machine stopped"
_SILENT = "its log says why"


@dataclass(frozen=True)
class Activity:
    """One stage of one partition, by its newest journals."""

    stage: str
    """As records are called: `train-baseline`."""
    partition: str
    state: Literal["running", "failed"]
    at: datetime
    """Of the last line of the journal: when it failed, or the newest sign of life."""
    reason: str = ""
    """Why it failed."""


def activities_of(journals: Path, loop: str) -> list[Activity]:
    """The stages of `loop` that run now, and those whose newest journal ended in a failure; oldest first.

    Journals that cannot be read say nothing.
    """
    found = []
    for folder in (journals / loop).glob("*/*"):
        with suppress(OSError):
            if activity := _activity(folder.parent.name, folder.name, _newest_first(folder)):
                found.append(activity)
    return sorted(found, key=lambda activity: activity.at)


def _activity(stage: str, partition: str, journals: list[tuple[float, Path]]) -> Activity | None:
    for modified, path in journals:
        if has_writer(path):
            return Activity(stage, partition, "running", _utc(modified))
    for modified, path in journals:
        end = _end(path)
        if end.get("early"):  # asked for before its time: that says nothing of the work
            continue
        if end and end["exit_code"] == 0:
            return None
        reason = str(end.get("error") or _SILENT) if end else _KILLED
        return Activity(stage, partition, "failed", _utc(modified), reason)
    return None


def _newest_first(folder: Path) -> list[tuple[float, Path]]:
    return sorted(_journals(folder), reverse=True)


def _journals(folder: Path) -> Iterator[tuple[float, Path]]:
    for path in folder.glob(f"*{SUFFIX}"):
        try:
            yield path.stat().st_mtime, path
        except OSError:  # gone meanwhile
            continue


def _end(path: Path) -> dict[str, Any]:
    """What the journal says of its end; empty when it says nothing."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _END_BYTES))
        lines = file.read().splitlines()
    try:
        entry = json.loads(lines[-1]) if lines else {}
    except ValueError:  # torn
        return {}
    return dict(entry["data"]) if isinstance(entry, dict) and entry.get("kind") == "close" else {}


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
