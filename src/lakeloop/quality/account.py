"""The account of a day: every line that ingest read is in the mart, in quarantine, or a duplicate; once.

Pure arithmetic on counts; collecting the counts is the stage's business.
"""

from __future__ import annotations

from dataclasses import dataclass

from lakeloop.errors import CountsError
from lakeloop.records import Counts


@dataclass(frozen=True)
class Account:
    """What became of the lines of a day, over all stages up to the mart."""

    lines_read: int
    good: int
    """Rows that may be published."""
    quarantined: int
    duplicates: int
    waiting: int = 0
    """Rows whose label has not come yet."""

    @classmethod
    def of(cls, ingest: Counts, transform: Counts, *, good: int, rejected: int, duplicates: int) -> Account:
        """Add up the stages: what ingest and transform recorded, and what validation has found now."""
        return cls(
            lines_read=ingest.read,
            good=good,
            quarantined=ingest.quarantined + transform.quarantined + rejected,
            duplicates=ingest.duplicates + transform.duplicates + duplicates,
            waiting=transform.waiting,
        )

    @property
    def quarantined_share(self) -> float:
        return self.quarantined / self.lines_read if self.lines_read else 0.0

    def require_balanced(self, where: str) -> None:
        """Raises CountsError when a line was lost or counted twice on its way."""
        accounted = self.good + self.quarantined + self.duplicates + self.waiting
        if accounted == self.lines_read:
            return
        happened = "lost" if accounted < self.lines_read else "doubled"
        raise CountsError(
            f"{abs(self.lines_read - accounted)} line(s) {happened} between ingest and mart",
            where=where,
            expected=f"{self.lines_read} lines read = rows of the mart + quarantined + duplicates"
            + (" + waiting" if self.waiting else ""),
            found=f"{self.good} + {self.quarantined} + {self.duplicates}"
            + (f" + {self.waiting}" if self.waiting else "")
            + f" = {accounted}",
            remedy="nothing was published; run the day again from ingest, and report it when it stays so",
        )
