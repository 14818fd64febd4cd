"""What rows and days must fulfil before they are published: one class a kind of row check.

What a kind does is its file in `lakeloop.quality.kinds`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, ClassVar, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator, model_validator

from lakeloop.spec.base import MART, Identifier, Section, Share, Words, text_like
from lakeloop.spec.batch import BatchCheck, ColumnKind
from lakeloop.spec.clean import LengthUnit
from lakeloop.spec.history import HistoryOrNot
from lakeloop.spec.rules import Broken, broken_limits, refuse_broken

Severity = Literal["row", "batch", "warn"]

Moment = Annotated[
    str,
    text_like(
        r"^(now|[+-][0-9]{1,5}[hdw]|[0-9]{4}-[0-9]{2}-[0-9]{2}"
        r"([T ][0-9]{2}:[0-9]{2}(:[0-9]{2})?(Z|[+-][0-9]{2}:[0-9]{2})?)?)$",
        "now, an offset such as -30d, -12h or +1w, a day or a moment such as 2026-11-20T08:30:00Z",
    ),
]
_UNITS = {"h": "hours", "d": "days", "w": "weeks"}


def moment_of(text: str) -> datetime | timedelta:
    """A `Moment` as one of the calendar, or as an offset from the end of the rows' day.

    Raises:
        ValueError: there is no such moment.
    """
    if text == "now":
        return timedelta(0)
    if text[0] in "+-":
        return timedelta(**{_UNITS[text[-1]]: int(text[:-1])})
    return datetime.fromisoformat(text)


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

    @property
    def same_type(self) -> bool:
        """Whether `others` must have the type of the column."""
        return False

    def in_zone(self, zone: str) -> Self:  # noqa: ARG002
        """The check for a loop whose days are those of the time zone `zone`."""
        return self


class NotNull(CheckBase):
    kind: Annotated[Literal["not_null"], MART]


class Length(CheckBase):
    of_type: ClassVar[ColumnKind | None] = "string"

    kind: Annotated[Literal["length"], MART]
    min: Annotated[int, MART] = Field(default=1, ge=0)
    """Characters after trimming, or words."""
    max: Annotated[int | None, MART] = Field(default=None, ge=1)
    unit: Annotated[LengthUnit, MART] = "characters"

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
        refuse_broken(broken_limits(self.min, self.max))
        return self


class NotOneOf(CheckBase):
    of_type: ClassVar[ColumnKind | None] = "string"

    kind: Annotated[Literal["not_one_of"], MART]
    values: Annotated[tuple[str, ...], MART] = Field(min_length=1)


class NotMatches(CheckBase):
    of_type: ClassVar[ColumnKind | None] = "string"

    kind: Annotated[Literal["not_matches"], MART]
    regex: Annotated[Words, MART]
    """RE2 syntax; must match nowhere in the value."""


class IsJson(CheckBase):
    """The value is JSON."""

    of_type: ClassVar[ColumnKind | None] = "string"

    kind: Annotated[Literal["json"], MART]


class TimeBetween(CheckBase):
    of_type: ClassVar[ColumnKind | None] = "timestamp"

    kind: Annotated[Literal["time_between"], MART]
    min: Annotated[Moment | None, MART] = None
    """A day, a moment, or one relative to the end of the rows' own day: `now` is that end, `-30d` lies 30
    days before it (`h`, `d`, `w`). So a day that is judged again, whenever that is, comes out the same."""
    max: Annotated[Moment | None, MART] = None
    zone: Annotated[str | None, MART] = None
    """Where days end, and what moments without a zone are in. Default: `schedule.timezone`."""

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, value: str | None) -> str | None:
        try:
            ZoneInfo(value or "UTC")
        except (KeyError, ValueError, OSError):
            raise ValueError("a time zone by its IANA name, such as UTC or Europe/Paris") from None
        return value

    @model_validator(mode="after")
    def _has_limits_that_can_be_met(self) -> Self:
        if self.min is None and self.max is None:
            refuse_broken([Broken("min", "no limit is given", "min, max or both", "neither")])
        for key, said in (("min", self.min), ("max", self.max)):
            try:
                moment_of(said or "now")
            except ValueError:
                refuse_broken([Broken(key, "no such moment", "a real day or moment", str(said))])
        lowest, highest = moment_of(self.min or "now"), moment_of(self.max or "now")
        fixed = isinstance(lowest, datetime), isinstance(highest, datetime)
        if self.min and self.max and fixed[0] == fixed[1] and _later(lowest, highest):
            refuse_broken([Broken("max", "no moment can pass", f"not before min ({self.min})", self.max)])
        return self

    def in_zone(self, zone: str) -> Self:
        return self if self.zone else self.model_copy(update={"zone": zone})


def _later(one: datetime | timedelta, other: datetime | timedelta) -> bool:
    if isinstance(one, datetime) and isinstance(other, datetime):
        return one.replace(tzinfo=one.tzinfo or UTC) > other.replace(tzinfo=other.tzinfo or UTC)
    return isinstance(one, timedelta) and isinstance(other, timedelta) and one > other


class Unique(CheckBase):
    kind: Annotated[Literal["unique"], MART]
    together_with: Annotated[tuple[Identifier, ...], MART] = ()
    """Columns of the mart that the value counts together with. Of several rows with equal values the first by
    line stays; rows that lack one of the values are not compared."""

    @property
    def others(self) -> Mapping[str, str]:
        return {f"together_with.{number}": name for number, name in enumerate(self.together_with)}


class Compare(CheckBase):
    kind: Annotated[Literal["compare"], MART]
    relation: Annotated[Literal["less_than", "at_most", "equal", "both_or_none"], MART]
    """Of the value to that of `other`. both_or_none: there are both values, or neither."""
    other: Annotated[Identifier, MART]
    """Column of the mart; of the same type, where values are compared."""

    @property
    def same_type(self) -> bool:
        return self.relation != "both_or_none"

    @property
    def others(self) -> Mapping[str, str]:
        return {"other": self.other}


RowCheck = Annotated[
    NotNull
    | Length
    | OneOf
    | NotOneOf
    | EachOf
    | AsManyWords
    | Matches
    | NotMatches
    | IsJson
    | Between
    | TimeBetween
    | Unique
    | Compare,
    Field(discriminator="kind"),
]


class Checks(Section):
    """Columns are those of the mart: row_id, event_time, and the columns of the task."""

    rows: tuple[RowCheck, ...] = ()
    """Of each row. The task's own checks are always added."""
    task_severity: Annotated[Literal["row", "batch"], MART] = "row"
    """What a row comes to of which the task can make nothing: without a text, without an answer, or with one
    that it does not know. row: it is quarantined. batch: the day stops when there is one."""
    batch: tuple[BatchCheck, ...] = ()
    """Of the rows of a day together, those that are about to be published."""
    min_rows: Annotated[int, MART] = Field(default=1, ge=0)
    """Stop the day when fewer rows than this pass."""
    max_rows: Annotated[int | None, MART] = Field(default=None, ge=0)
    """Stop the day when more rows than this pass."""
    history: HistoryOrNot = None
    """Compare the day with those before it: `true`, or a section. Default: not."""
    max_quarantined_share: Annotated[Share, MART] = 0.2
    """Stop the day when more than this share of its rows was quarantined: something upstream broke."""

    @model_validator(mode="after")
    def _rows_can_be_as_many(self) -> Self:
        if self.max_rows is not None:
            wanted = [one._replace(key="max_rows") for one in broken_limits(self.min_rows, self.max_rows)]
            refuse_broken(wanted)
        return self
