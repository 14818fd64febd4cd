"""The source `hub`: a data set in the layout of the Hugging Face hub, from a folder or from it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from lakeloop.hub import HUB, ON_THE_HUB
from lakeloop.spec.base import RAW, PlainName
from lakeloop.spec.contract import SourceBase, column_rule
from lakeloop.spec.dialect import TextDialect, dialect_rules
from lakeloop.spec.rules import Broken, refuse_broken


class HubSource(TextDialect, SourceBase):
    """Shards of one split of a data set, as the hub has them: Parquet, JSON Lines or CSV below one folder."""

    kind: Annotated[Literal["hub"], RAW]
    dataset: Annotated[str, RAW] = Field(min_length=1, max_length=1000)
    """A folder inside the project or an allowed data root; or `hub:OWNER/NAME@REVISION`, which is fetched
    into the cache of huggingface_hub. A commit as revision stays what it is."""
    split: Annotated[PlainName, RAW] = "train"
    """Files or folders with this word in their names; where none names a split, `train` is all of them."""
    day: Annotated[date | None, RAW] = None
    """The day that all its rows belong to, where no column says one."""
    partition_by: Annotated[str | None, RAW] = None
    """Instead: timestamp or date column that says a record's day, which begins at midnight in
    `schedule.timezone`."""

    @property
    def local_path(self) -> tuple[str, str] | None:
        return None if self.dataset.startswith(HUB) else ("dataset", self.dataset)

    @model_validator(mode="after")
    def _says_what_is_read(self) -> Self:
        refuse_broken(list(self._broken_rules()))
        return self

    def _broken_rules(self) -> Iterator[Broken]:
        if (self.day is None) == (self.partition_by is None):
            both = "both" if self.day else "neither"
            yield Broken("day", "which day are its rows of", "day or partition_by, one of them", both)
        if self.dataset.startswith(HUB) and not ON_THE_HUB.fullmatch(self.dataset):
            yield Broken("dataset", "not a data set of the hub", "hub:OWNER/NAME@REVISION", self.dataset)
        elif "://" in self.dataset:
            yield Broken("dataset", "not a folder", "a folder, or hub:OWNER/NAME@REVISION", self.dataset)
        yield from dialect_rules(self, self.format)
        yield from column_rule("partition_by", self.partition_by, self.types, ("timestamp", "date"))
