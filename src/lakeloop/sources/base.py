"""What a source is: it hands over one file a day, or says why there is none. The kinds are in `kinds`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Drop:
    """The file of one day."""

    path: Path
    digest: str
    """sha256 of its bytes, hex."""
    name: str
    """How rows refer to it: the same on every machine."""


class Source(Protocol):
    """Where a loop's rows come from."""

    def drop(self, partition: str) -> Drop | None:
        """The file of the day `partition` (YYYY-MM-DD); None when there is none."""

    def absence(self, partition: str) -> str:
        """A sentence on why there is no file for this day: what was looked for, and where."""
