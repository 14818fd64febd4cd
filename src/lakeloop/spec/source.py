"""Where rows come from: one class a kind of source, and their union. Reading them is `lakeloop.sources`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from lakeloop.spec.address import address_rules, is_address
from lakeloop.spec.base import NOTHING, RAW, PlainName
from lakeloop.spec.contract import SourceBase, column_rule
from lakeloop.spec.days import DAY_IN_PATH
from lakeloop.spec.delta import DeltaSource
from lakeloop.spec.demo import PackageSource
from lakeloop.spec.dialect import TextDialect, dialect_rules
from lakeloop.spec.http import HttpSource
from lakeloop.spec.hub import HubSource
from lakeloop.spec.rules import Broken, refuse_broken
from lakeloop.spec.sql import SqlSource


class FilesSource(TextDialect, SourceBase):
    """Files, dropped by somebody else: one or many a day, or many days in one."""

    kind: Annotated[Literal["files"], RAW]
    path: Annotated[str, RAW]
    """Path of the files, with {partition} for the day: `data/tickets/{partition}.jsonl`. With `*` and `?` in
    a name, and `**` for folders of any depth, a day has many files: `drops/{partition}/*.csv`; they are read
    in the order of their names. Files may be compressed (gzip, zstd, zip), whatever they are called. Relative
    to the project; inside the project or one of the allowed data roots. Or an address in an object store:
    `s3://bucket/drops/{partition}.jsonl`, gs:// or az://."""
    connection: Annotated[PlainName | None, NOTHING] = None
    """Of files in an object store: an Airflow Connection, or the variable LAKELOOP_CONN_<NAME>, with the
    credentials; those of the environment (AWS_ACCESS_KEY_ID ...) where it is not said."""
    partition_by: Annotated[str | None, RAW] = None
    """Timestamp or date column that says a record's day, where a file has many days; `path` is then without
    {partition}. The day begins at midnight in `schedule.timezone`."""

    @property
    def local_path(self) -> tuple[str, str] | None:
        return None if is_address(self.path) else ("path", self.path)

    @model_validator(mode="after")
    def _says_the_day_once(self) -> Self:
        refuse_broken(list(self._broken_rules()))
        return self

    def _broken_rules(self) -> Iterator[Broken]:
        names_day = DAY_IN_PATH in self.path
        if re.search(r"[{}]", self.path.replace(DAY_IN_PATH, "")) or not (names_day or self.partition_by):
            expected = "a path with {partition} in it, and no other braces; or partition_by beside it"
            yield Broken("path", "wrong value", expected, self.path)
        elif names_day and self.partition_by:
            expected = "{partition} in path for files of one day, or partition_by for files of many"
            yield Broken("partition_by", "the day is said twice", expected, self.partition_by)
        if any("**" in part and part != "**" for part in self.path.split("/")):
            yield Broken("path", "wrong value", "** as a name of its own: drops/**/*.csv", self.path)
        yield from address_rules("path", self.path, self.connection)
        yield from dialect_rules(self, self.format)
        yield from column_rule("partition_by", self.partition_by, self.types, ("timestamp", "date"))


Source = Annotated[
    DeltaSource | FilesSource | HttpSource | HubSource | PackageSource | SqlSource,
    Field(discriminator="kind"),
]
