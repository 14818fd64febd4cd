"""What every source declares: its columns with their types, the key, the event time, the format of a drop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from lakeloop.spec.base import RAW, Mark, Section
from lakeloop.spec.columns import Column, ColumnName, Columns, ColumnType, clashes
from lakeloop.spec.rules import Broken, refuse_broken

ROLE = Mark(("raw", "built"))


class SourceBase(Section):
    key: Annotated[ColumnName | None, ROLE] = None
    """Column that names a row, a string or an integer; unique within a day once exact duplicates are gone."""
    key_from: Annotated[Literal["content", "line"] | None, ROLE] = None
    """Where no column names a row: its content does (a hash of the declared columns), or the file and line
    that it stands in."""
    event_time: Annotated[ColumnName | None, ROLE] = None
    """Column that says when a row happened; a timestamp or a date."""
    columns: Annotated[Columns, RAW] = Field(min_length=1)
    """Every column that is read, with its type. A record with another type is quarantined. A timestamp is
    RFC 3339 or ISO 8601 (2026-11-20T08:30:00.5+01:00; also without the time), and UTC where no zone is said;
    digits below a microsecond are cut off. A column can be a section instead of its type: see below."""
    undeclared: Annotated[Literal["ignore", "keep", "refuse"], RAW] = "ignore"
    """Fields of a record that `columns` does not name: left out and counted; kept as JSON in the column
    undeclared_fields of raw; or the record is quarantined (of CSV and Parquet: the file is refused)."""
    format: Annotated[Literal["jsonl", "csv", "parquet"], RAW] = "jsonl"
    """Format of the drops: one JSON object a line, CSV with a header (RFC 4180), or Parquet."""

    @property
    def fields(self) -> tuple[Column, ...]:
        """The columns with all their names, in the order of the file."""
        return tuple(column.named(name) for name, column in self.columns.items())

    @property
    def key_column(self) -> Column | None:
        """The column that names a row; None when its content or its line does."""
        return next((field for field in self.fields if field.name == self.key), None)

    def stored(self, name: str) -> str:
        """What table `raw` calls the declared column `name`."""
        return next(field.stored for field in self.fields if field.name == name)

    @property
    def types(self) -> dict[str, ColumnType]:
        """Declared column -> type."""
        return {name: column.type for name, column in self.columns.items()}

    @property
    def required(self) -> tuple[str, ...]:
        """Columns in which no row may be null, nor text be empty: the key, and the one that says the day."""
        names = (self.key, getattr(self, "partition_by", None))
        return tuple(dict.fromkeys(name for name in names if name))

    @property
    def local_path(self) -> tuple[str, str] | None:
        """The key that names a file or folder of this machine, and its value; None when no key does."""
        return None

    @model_validator(mode="after")
    def _columns_fit(self) -> Self:
        refuse_broken(
            [
                *self._one_key(),
                *column_rule("key", self.key, self.types, ("string", "integer")),
                *column_rule("event_time", self.event_time, self.types, ("timestamp", "date")),
                *clashes(self.fields),
            ]
        )
        return self

    def _one_key(self) -> Iterator[Broken]:
        if self.key is None and self.key_from is None:
            wanted = "key: a column that names a row; or key_from: content, where none does"
            yield Broken("key", "missing key", wanted, ", ".join(self.columns))
        if self.key is not None and self.key_from is not None:
            yield Broken("key_from", "a second key", "key or key_from, not both", self.key_from)


def column_rule(
    key: str, column: str | None, columns: dict[str, ColumnType], types: tuple[ColumnType, ...]
) -> list[Broken]:
    """What is wrong with `key`, which names one of `columns` that has one of `types`."""
    if column is None or columns.get(column) in types:
        return []
    fitting = tuple(name for name, kind in columns.items() if kind in types)
    wanted, there = " or ".join(types), ", ".join(f"{name}: {kind}" for name, kind in columns.items())
    names = f"one of {', '.join(fitting)}" if fitting else f"there is none among {there}"
    expected = f"a {wanted} column of source.columns: {names}"
    if column in columns:
        return [Broken(key, "a column of the wrong type", expected, f"{column}: {columns[column]}")]
    return [Broken(key, "no such column", expected, column, fitting)]
