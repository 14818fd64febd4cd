"""What rows and days must fulfil before they are published: one class a kind of row check.

What a kind does is its file in `lakeloop.quality.kinds`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from lakeloop.spec.base import MART, Identifier, Section, Share, Words
from lakeloop.spec.rules import Broken, refuse_broken

Severity = Literal["row", "batch", "warn"]
ColumnKind = Literal["string", "number", "timestamp"]
"""Types of columns of the mart."""


class CheckBase(Section):
    """What every row check has."""

    of_type: ClassVar[ColumnKind | None] = None
    """Type that the column must have in the mart; None: any."""

    column: Annotated[Identifier, MART]
    """Column of the mart."""
    severity: Annotated[Severity, MART] = "row"
    """What a row that fails comes to. row: it is quarantined. batch: rows stay, and the day stops when too
    many of them fail. warn: the day goes on, and its page and record say so."""
    mostly: Annotated[float, MART] = Field(default=1.0, gt=0, le=1)
    """Share of the rows of a day that has to pass, with severity batch or warn. A row without a value passes,
    as it does elsewhere."""

    @model_validator(mode="after")
    def _mostly_is_of_the_day(self) -> Self:
        if self.severity == "row" and self.mostly < 1:
            message, wanted = "with severity: row each row is judged by itself", "severity: batch, or warn"
            refuse_broken([Broken("mostly", message, wanted, f"{self.mostly:g}")])
        return self

    @property
    def quarantines(self) -> bool:
        """Whether a row that fails is set aside; else rows are only counted."""
        return self.severity == "row"

    @property
    def others(self) -> Mapping[str, str]:
        """Further columns of the mart that are looked at: key of the section, dotted -> column."""
        return {}


class NotNull(CheckBase):
    kind: Annotated[Literal["not_null"], MART]


class Length(CheckBase):
    of_type: ClassVar[ColumnKind | None] = "string"

    kind: Annotated[Literal["length"], MART]
    min: Annotated[int, MART] = Field(default=1, ge=0)
    """Characters after trimming."""
    max: Annotated[int | None, MART] = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        if self.max is not None and self.max < self.min:
            refuse_broken([Broken("max", "no length can pass", f"at least min ({self.min})", str(self.max))])
        return self


class OneOf(CheckBase):
    of_type: ClassVar[ColumnKind | None] = "string"

    kind: Annotated[Literal["one_of"], MART]
    values: Annotated[tuple[str, ...], MART] = Field(min_length=1)


class EachOf(CheckBase):
    of_type: ClassVar[ColumnKind | None] = "string"

    kind: Annotated[Literal["each_of"], MART]
    values: Annotated[tuple[str, ...], MART] = Field(min_length=1)
    separator: Annotated[str, MART] = Field(default=",", min_length=1, max_length=10)
    """Stands between two values; blanks around it do not count."""


class AsManyWords(CheckBase):
    of_type: ClassVar[ColumnKind | None] = "string"

    kind: Annotated[Literal["as_many_words"], MART]
    other: Annotated[Identifier, MART]
    """Column of the mart whose value has as many words, with blanks between them."""

    @property
    def others(self) -> Mapping[str, str]:
        return {"other": self.other}


class Matches(CheckBase):
    of_type: ClassVar[ColumnKind | None] = "string"

    kind: Annotated[Literal["matches"], MART]
    regex: Annotated[Words, MART]
    """RE2 syntax; must match somewhere in the value."""


class Between(CheckBase):
    of_type: ClassVar[ColumnKind | None] = "number"

    kind: Annotated[Literal["between"], MART]
    min: Annotated[float | None, MART] = None
    max: Annotated[float | None, MART] = None

    @model_validator(mode="after")
    def _has_limits_that_can_be_met(self) -> Self:
        if self.min is None and self.max is None:
            refuse_broken([Broken("min", "no limit is given", "min, max or both", "neither")])
        if self.min is not None and self.max is not None and self.max < self.min:
            wanted = f"at least min ({self.min:g})"
            refuse_broken([Broken("max", "no number can pass", wanted, f"{self.max:g}")])
        return self


RowCheck = Annotated[
    NotNull | Length | OneOf | EachOf | AsManyWords | Matches | Between, Field(discriminator="kind")
]


class Checks(Section):
    """Columns are those of the mart: row_id, event_time, and the columns of the task."""

    rows: tuple[RowCheck, ...] = ()
    """Of each row. The task's own checks are always added."""
    min_rows: Annotated[int, MART] = Field(default=1, ge=0)
    """Stop the day when fewer rows than this pass."""
    max_quarantined_share: Annotated[Share, MART] = 0.2
    """Stop the day when more than this share of its rows was quarantined: something upstream broke."""
