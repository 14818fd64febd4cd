"""The values of what lies on the disk, as the newest maintenance of a loop has recorded it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from lakeloop.records import StageRecord

_KIND = "disk/"
_TOTALS = ("bytes", "bytes_freed")


@dataclass(frozen=True)
class Disk:
    """What maintenance left; sizes in bytes."""

    at: datetime
    bytes: float
    freed: float
    kinds: tuple[tuple[str, float], ...]
    """Kind -> its size, the largest first."""


def disk_of(entries: Sequence[StageRecord]) -> Disk | None:
    """The disk after the newest maintenance; None where none has recorded it."""
    for entry in reversed(entries):
        if entry.stage == "maintain" and f"{_KIND}bytes" in entry.metrics:
            sizes = {
                name.removeprefix(_KIND): size
                for name, size in entry.metrics.items()
                if name.startswith(_KIND) and name.removeprefix(_KIND) not in _TOTALS
            }
            kinds = sorted(sizes.items(), key=lambda each: -each[1])
            total, freed = (entry.metrics[f"{_KIND}{name}"] for name in _TOTALS)
            return Disk(entry.provenance.finished_at, total, freed, tuple(kinds))
    return None
