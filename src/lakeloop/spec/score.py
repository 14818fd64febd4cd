"""Which rows the champion answers by itself, into the table `scores`, and when."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from lakeloop.spec.base import NOTHING, PER_RUN, Section
from lakeloop.spec.days import DAY_IN_PATH
from lakeloop.spec.rules import Broken, refuse_broken

OF_THE_LAKE = ("mart", "raw")
"""Tables whose rows of a day can be answered; any other source is a path."""


class Score(Section):
    source: Annotated[str | None, PER_RUN] = None
    """What is answered: `mart` or `raw`, the day's rows of these tables; or files, such as
    `inbox/{partition}/*.csv`, or a folder of them (CSV, JSON lines, Parquet, their .gz; columns as the loop
    file calls them). Relative to the project; inside the project or one of the allowed data roots. Default:
    nothing."""
    to: Annotated[str | None, PER_RUN] = None
    """A Parquet file that gets the day's answers too, `answers/{partition}.parquet`; written anew when the
    answers are others. Inside the project or one of the allowed data roots. Default: none."""
    top: Annotated[int | None, PER_RUN] = Field(default=None, ge=1)
    """Keep so many scores of each answer. Default: all."""
    when: Annotated[tuple[Literal["day", "input", "champion"], ...], NOTHING] = ()
    """When the DAG starts by itself: `day`, with `schedule.cron`, for the day before, where the source is
    files; `input`, when the day's rows of the table were published; `champion`, when a release was rolled out
    or, by maintenance, the champion was moved by hand: for the newest day. Default: by hand only."""

    @model_validator(mode="after")
    def _can_be_done(self) -> Self:
        refuse_broken([*self._wrong_source(), *self._wrong_file(), *self._wrong_times()])
        return self

    @property
    def idle(self) -> str:
        return "" if self.source else "answers nothing by itself without source"

    @property
    def path(self) -> str | None:
        """The path of the files that are answered; None where the source is a table, or there is none."""
        return None if self.source in (None, *OF_THE_LAKE) else self.source

    def _wrong_source(self) -> Iterator[Broken]:
        if (path := self.path) is None:
            return
        if not path.strip() or "://" in path or _other_braces(path):
            wanted = "mart, raw, or a path of this machine, with {partition} for the day and no other braces"
            yield Broken("source", "wrong value", wanted, path)
        if any("**" in part and part != "**" for part in path.split("/")):
            yield Broken("source", "wrong value", "** as a name of its own: inbox/**/*.csv", path)

    def _wrong_file(self) -> Iterator[Broken]:
        if self.to is not None and (not self.to.endswith(".parquet") or _other_braces(self.to)):
            wanted = "a path of a Parquet file, .parquet, with {partition} for the day and no other braces"
            yield Broken("to", "wrong value", wanted, self.to)

    def _wrong_times(self) -> Iterator[Broken]:
        found = ", ".join(self.when)
        if self.when and self.source is None:
            yield Broken("source", "missing key", "what is answered, where `when` says that it is", found)
        elif "day" in self.when and (len(self.when) > 1 or self.path is None):
            wanted = "day alone and for files; of a table: input, champion or both"
            yield Broken("when", "not at the time of a table", wanted, f"{found} of {self.source}")
        elif "input" in self.when and self.path is not None:
            wanted = "mart or raw as source: nothing tells when files come; or day"
            yield Broken("when", "nothing would start it", wanted, f"{found} of {self.source}")


def _other_braces(path: str) -> bool:
    return bool(re.search(r"[{}]", path.replace(DAY_IN_PATH, "")))
