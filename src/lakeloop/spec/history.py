"""How a day is compared with the days before it. What is usual is worked out, not said."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema

from lakeloop.spec.base import NOTHING, Section
from lakeloop.spec.rules import Broken, refuse_broken


class History(Section):
    """A day beside those published before it. Short form: `history: true`.

    Nothing of this changes rows, or a day that is published: it counts for days that are judged from then on.
    """

    days: Annotated[int, NOTHING] = Field(default=28, ge=3, le=366)
    """How many of the days published before it are looked at, the last ones. From three days of the same
    weekday on, and where weekdays differ, that weekday is compared with itself."""
    least_days: Annotated[int, NOTHING] = Field(default=7, ge=3, le=366)
    """With fewer days than this nothing is compared, and the page says so."""
    volume: Annotated[bool, NOTHING] = True
    """Rows that pass: as many as usual."""
    freshness: Annotated[bool, NOTHING] = True
    """The newest event time: as near to the end of the day as usual, or nearer."""
    quarantined: Annotated[bool, NOTHING] = True
    """The share of lines in quarantine, by any stage."""
    nulls: Annotated[bool, NOTHING] = True
    """For each column of the mart, the share of rows without a value."""
    shares: Annotated[bool, NOTHING] = True
    """The share of each value of columns with few values: the answer, and `task.categorical`. Also of one
    that is new, or that comes no more."""
    severity: Annotated[Literal["batch", "warn"], NOTHING] = "warn"
    """batch: an unusual day stops. warn: it goes on, and its page and record say so."""
    false_alarms: Annotated[float, NOTHING] = Field(default=0.01, gt=0, le=0.2)
    """How sensitive it is: the share of usual days that may be told of all the same, over all that is
    compared. The less, the more unusual a day has to be."""

    @model_validator(mode="after")
    def _enough_days_are_looked_at(self) -> Self:
        if self.least_days > self.days:
            wanted = f"at most days ({self.days})"
            refuse_broken([Broken("least_days", "no day is ever compared", wanted, str(self.least_days))])
        return self


class _Switch:
    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [{"type": "boolean"}, *handler(core)["anyOf"]]}


def _lengthen(value: Any) -> Any:
    if isinstance(value, bool):
        return {} if value else None
    return value


HistoryOrNot = Annotated[History | None, BeforeValidator(_lengthen), _Switch()]
"""The section, `true` for all its defaults, or nothing: no day is compared."""
