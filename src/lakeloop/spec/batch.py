"""What a day as a whole must fulfil, over the values of one column: one class a kind of check.

What a kind does is its file in `lakeloop.quality.kinds`.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from lakeloop.spec.base import MART, Identifier, Section, Share
from lakeloop.spec.rules import Broken, broken_limits, refuse_broken

ColumnKind = Literal["string", "number", "timestamp"]
"""Types of columns of the mart."""
Finite = Annotated[float, Field(allow_inf_nan=False)]


class BatchCheckBase(Section):
    """What every check of a day has."""

    of_type: ClassVar[ColumnKind | None] = None
    """Type that the column must have in the mart; None: any."""

    column: Annotated[Identifier, MART]
    """Column of the mart."""
    severity: Annotated[Literal["batch", "warn"], MART] = "batch"
    """batch: a day that fails stops. warn: it goes on, and its page and record say so."""


class Distinct(BatchCheckBase):
    kind: Annotated[Literal["distinct"], MART]
    min: Annotated[int | None, MART] = Field(default=None, ge=0)
    """Different values that there are at least; null is none."""
    max: Annotated[int | None, MART] = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _has_limits(self) -> Self:
        refuse_broken(broken_limits(self.min, self.max))
        return self


class DistinctShare(BatchCheckBase):
    kind: Annotated[Literal["distinct_share"], MART]
    min: Annotated[Share | None, MART] = None
    """Different values by rows with a value, at least: 1 where none is there twice."""
    max: Annotated[Share | None, MART] = None

    @model_validator(mode="after")
    def _has_limits(self) -> Self:
        refuse_broken(broken_limits(self.min, self.max))
        return self


class ValueShare(BatchCheckBase):
    of_type: ClassVar[ColumnKind | None] = "string"

    kind: Annotated[Literal["value_share"], MART]
    values: Annotated[tuple[str, ...], MART] = Field(min_length=1)
    """Each of them is in a share of the rows that is within the limits."""
    min: Annotated[Share | None, MART] = None
    max: Annotated[Share | None, MART] = None

    @model_validator(mode="after")
    def _has_limits(self) -> Self:
        broken = broken_limits(self.min, self.max)
        if not broken and (least := (self.min or 0.0) * len(self.values)) > 1:
            found = f"{len(self.values)} values of at least {self.min:g}, {least:g} together"
            broken.append(Broken("min", "no day can pass", "shares of at most 1 together", found))
        refuse_broken(broken)
        return self


class ContainsAll(BatchCheckBase):
    of_type: ClassVar[ColumnKind | None] = "string"

    kind: Annotated[Literal["contains_all"], MART]
    values: Annotated[tuple[str, ...], MART] = Field(min_length=1)
    """Each of them is in some row."""


class _OfNumbers(BatchCheckBase):
    """A number that is made of a column of numbers, and its limits."""

    of_type: ClassVar[ColumnKind | None] = "number"

    min: Annotated[Finite | None, MART] = None
    max: Annotated[Finite | None, MART] = None

    @model_validator(mode="after")
    def _has_limits(self) -> Self:
        refuse_broken(broken_limits(self.min, self.max))
        return self


class Mean(_OfNumbers):
    kind: Annotated[Literal["mean"], MART]


class Median(_OfNumbers):
    kind: Annotated[Literal["median"], MART]


class Stddev(_OfNumbers):
    """Of the sample: with n - 1."""

    kind: Annotated[Literal["stddev"], MART]


class Sum(_OfNumbers):
    kind: Annotated[Literal["sum"], MART]


class Quantile(_OfNumbers):
    kind: Annotated[Literal["quantile"], MART]
    at: Annotated[float, MART] = Field(gt=0, lt=1)
    """Share of the rows with a value that have at most the quantile, which is one of these values."""


BatchCheck = Annotated[
    Distinct | DistinctShare | ValueShare | ContainsAll | Mean | Median | Stddev | Sum | Quantile,
    Field(discriminator="kind"),
]
