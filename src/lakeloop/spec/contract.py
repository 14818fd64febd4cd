"""What every source declares: its columns with their types, the key, the event time, the format of a drop."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from lakeloop.spec.base import RAW, Identifier, Mark, Section
from lakeloop.spec.rules import Broken, refuse_broken

ColumnType = Literal["string", "integer", "number", "boolean", "timestamp", "date"]

RESERVED_COLUMNS = frozenset({"partition", "row_id", "row_hash", "text_key", "source_file", "source_line"})

ROLE = Mark(("raw", "built"))


class SourceBase(Section):
    key: Annotated[Identifier, ROLE]
    """Column that names a row, a string or an integer; unique within a day once exact duplicates are gone."""
    event_time: Annotated[Identifier | None, ROLE] = None
    """Column that says when a row happened; a timestamp."""
    columns: Annotated[dict[Identifier, ColumnType], RAW] = Field(min_length=2)
    """Every column that is read, with its type. A line with another type is quarantined. A timestamp is
    RFC 3339 or ISO 8601 (2026-11-20T08:30:00.5+01:00; also without the time), and UTC where no zone is said;
    digits below a microsecond are cut off."""
    format: Annotated[Literal["jsonl", "csv"], RAW] = "jsonl"
    """Format of the drops: one JSON object a line, or CSV with a header (one record, one line)."""

    @model_validator(mode="after")
    def _columns_fit(self) -> Self:
        refuse_broken(
            [
                *column_rule("key", self.key, self.columns, ("string", "integer")),
                *column_rule("event_time", self.event_time, self.columns, ("timestamp",)),
                *(
                    Broken(f"columns.{name}", "a name that Lakeloop uses itself", "another name", name)
                    for name in sorted(RESERVED_COLUMNS & set(self.columns))
                ),
            ]
        )
        return self


def column_rule(
    key: str, column: str | None, columns: dict[str, ColumnType], types: tuple[ColumnType, ...]
) -> list[Broken]:
    """What is wrong with `key`, which names one of `columns` that has one of `types`."""
    if column is None or columns.get(column) in types:
        return []
    wanted = " or ".join(types)
    if column in columns:
        return [Broken(key, "a column of the wrong type", wanted, f"{column}: {columns[column]}")]
    fitting = tuple(name for name, kind in columns.items() if kind in types)
    return [Broken(key, "no such column", f"a {wanted} column of source.columns", column, fitting)]
