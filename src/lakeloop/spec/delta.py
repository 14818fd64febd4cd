"""The source `delta`: a Delta table that somebody else writes, its rows of one day a delivery."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from lakeloop.spec.address import address_rules, is_address
from lakeloop.spec.base import NOTHING, RAW, PlainName
from lakeloop.spec.columns import ColumnName
from lakeloop.spec.contract import SourceBase, column_rule
from lakeloop.spec.rules import Broken, refuse_broken


class DeltaSource(SourceBase):
    """Rows of a Delta table, those of one day a delivery, always of one version of it."""

    kind: Annotated[Literal["delta"], RAW]
    table: Annotated[str, RAW] = Field(min_length=1, max_length=1000)
    """Folder of the table: a path inside the project or an allowed data root, or an address in an object
    store: `s3://bucket/path`."""
    connection: Annotated[PlainName | None, NOTHING] = None
    """Of a table in an object store: an Airflow Connection, or the variable LAKELOOP_CONN_<NAME>, with the
    credentials; those of the environment (AWS_ACCESS_KEY_ID ...) where it is not said."""
    version: Annotated[int | None, RAW] = Field(default=None, ge=0)
    """Read this version of the table, whatever comes later; the newest where it is not said."""
    partition_by: Annotated[ColumnName, RAW]
    """Timestamp or date column that says a row's day, which begins at midnight in `schedule.timezone`; a
    partition column where there is one. A row in which it says nothing is in no delivery."""

    @property
    def local_path(self) -> tuple[str, str] | None:
        return None if is_address(self.table) else ("table", self.table)

    @model_validator(mode="after")
    def _says_what_is_read(self) -> Self:
        refuse_broken(list(self._broken_rules()))
        return self

    def _broken_rules(self) -> Iterator[Broken]:
        yield from address_rules("table", self.table, self.connection)
        if self.format != "jsonl":
            yield Broken("format", "not a key of delta", "no format: a table has types", self.format)
        yield from column_rule("partition_by", self.partition_by, self.types, ("timestamp", "date"))
