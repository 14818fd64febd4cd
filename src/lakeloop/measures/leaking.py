"""What was found of leaks in a data set: light, for records, evidence, gate and pages."""

from __future__ import annotations

from pydantic import Field

from lakeloop.plural import counted
from lakeloop.records import Frozen


class Sighting(Frozen):
    """A row that shows a leak."""

    row: str
    """Its key."""
    partition: str
    place: str = ""
    """File and line; empty where that is not known."""
    said: str
    """What is to be seen there: it may be text of the row."""

    @property
    def where(self) -> str:
        """For people: the row by its key, day and place."""
        at = f", {self.place}" if self.place else ""
        return f"{self.row} ({self.partition}{at})"


class Leak(Frozen):
    """One thing that makes scores on the test rows better than they will be on rows of tomorrow."""

    kind: str
    """Of `spec.leaks.KINDS`."""
    column: str
    """Where it is, as the loop file calls it."""
    rows: int
    """That have it."""
    found: str
    """What was found, with its numbers, for people."""
    examples: tuple[Sighting, ...] = Field(default=(), repr=False)

    @property
    def sentence(self) -> str:
        """For a line: the kind, the column and what was found."""
        return f"{self.kind}, {self.column}: {self.found}"


class LeakReport(Frozen):
    """What was looked for in a data set."""

    leaks: tuple[Leak, ...] = ()
    not_looked: dict[str, str] = Field(default_factory=dict)
    """Kind -> why it was not looked for."""

    @classmethod
    def of(cls, kept: str) -> LeakReport:
        """The report that a record keeps as JSON; an empty one where nobody looked."""
        return cls.model_validate_json(kept) if kept else cls()

    @property
    def words(self) -> str:
        """In one sentence; empty where nothing was found."""
        return leaks_in_words(self.leaks)


def leaks_in_words(leaks: tuple[Leak, ...]) -> str:
    """All that was found, in one sentence; empty where that is nothing."""
    if not leaks:
        return ""
    return f"{counted(len(leaks), 'leak')} suspected: {'; '.join(leak.sentence for leak in leaks)}"
