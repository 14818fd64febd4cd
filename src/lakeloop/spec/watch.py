"""When a loop runs, and what is watched after a release."""

from __future__ import annotations

import re
import zoneinfo
from datetime import UTC, datetime
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from lakeloop.records import now
from lakeloop.spec.base import NOTHING, Section
from lakeloop.spec.rules import Broken, refuse_broken
from lakeloop.spec.ticks import first_fault

_CRON_FIELD = r"(?:[0-9*/,-]|[A-Za-z]{3})+"


class Keep(Section):
    """Which weights stay when they are needed no more.

    Scores, reports, evidence and descriptions always stay.
    """

    candidate_days: Annotated[int | None, NOTHING] = Field(default=30, ge=1, le=36500)
    """Days that the weights of a candidate stay after it was last trained or evaluated. Those of the newest
    training and of evaluations that wait for a decision stay longer. null: for ever."""
    candidates: Annotated[int | None, NOTHING] = Field(default=3, ge=0, le=100000)
    """How many candidates keep their weights that long, besides those that stay longer and those that were
    used within the hour: the ones that were used last. null, and where the file says `candidate_days` and not
    this: any number."""
    versions: Annotated[int | None, NOTHING] = Field(default=None, ge=1, le=100000)
    """How many of the newest versions keep their weights, besides the champion, the one that a rollback goes
    back to and those that were champion within a week. Default: all."""

    @property
    def most_candidates(self) -> int | None:
        """`candidates`; None for any number, also for who asked for days before there was a number."""
        asked_for_days = "candidate_days" in self.model_fields_set
        return None if asked_for_days and "candidates" not in self.model_fields_set else self.candidates


class Schedule(Section):
    cron: Annotated[str, NOTHING] = "0 2 * * *"
    """When the day before is ingested: a cron that comes once on each calendar day of the time zone below.
    Partitions are days; there are none of hours or weeks."""
    timezone: Annotated[str, NOTHING] = "UTC"
    """Where the loop's days begin and end, and what the cron's hours are (IANA name, such as
    Europe/Paris). Times in the rows are UTC whatever it is."""

    @field_validator("cron")
    @classmethod
    def _five_fields(cls, value: str) -> str:
        if len(value) > 100 or not re.fullmatch(rf"(?:{_CRON_FIELD} +){{4}}{_CRON_FIELD}", value):
            raise ValueError("five cron fields: minute hour day month weekday, such as 0 2 * * *")
        # Costs 0.1 s to import, so only for files that set it.
        from croniter import CroniterError, croniter

        try:
            croniter(value, datetime(2000, 1, 1, tzinfo=UTC)).get_next()
        except CroniterError:  # out of range, or a day that never comes
            raise ValueError("five cron fields that some day match, such as 0 2 * * *") from None
        return value

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            zoneinfo.ZoneInfo(value)
        except (KeyError, ValueError, OSError):  # not found; not a relative path; a folder of zones
            raise ValueError("a time zone by its IANA name, such as UTC or Europe/Paris") from None
        return value

    @model_validator(mode="after")
    def _once_a_day(self) -> Schedule:
        if fault := first_fault(self.cron, self.timezone, now().date()):
            key = "cron" if first_fault(self.cron, "UTC", now().date()) else "timezone"
            expected = (
                "a cron that comes once on each calendar day, such as 0 2 * * *: a run works on the"
                f" day before, and there are no partitions of hours or weeks; here {fault}"
            )
            refuse_broken([Broken(key, "not one run a day", expected, f"{self.cron} ({self.timezone})")])
        return self
