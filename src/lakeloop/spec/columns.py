"""A column of a source: how the loop file calls it, where a delivery has it, how the lake stores it.

A column is its type alone (`id: string`), or a section: `text: {type: string, from: "Customer text"}`. Names
are what people have in their files; what the lake calls such a column is made from the name here.
"""

from __future__ import annotations

import re
import unicodedata
import zoneinfo
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, GetJsonSchemaHandler, model_serializer
from pydantic import model_validator as validator_of_model
from pydantic_core import CoreSchema

from lakeloop.spec.base import RAW, Section
from lakeloop.spec.rules import Broken
from lakeloop.spec.time_format import EPOCHS, TimeFormat, parse_format

ColumnType = Literal["string", "integer", "number", "boolean", "timestamp", "date"]

OURS = frozenset(
    {"partition", "row_id", "row_hash", "text_key", "source_file", "source_line", "undeclared_fields"}
)
"""Names of columns that the lake adds; a user's column of such a name is stored under another."""
_OUR_PREFIX = "lakeloop_"
_PLAIN = re.compile(r"[a-z][a-z0-9_]{0,62}")
_LONGEST = 200


def _is_column_name(value: str) -> str:
    if not value.strip() or len(value) > _LONGEST or any(unicodedata.category(c) == "Cc" for c in value):
        raise ValueError(f"a name that is not blank, of at most {_LONGEST} characters, no control characters")
    return value


ColumnName = Annotated[str, AfterValidator(_is_column_name)]
"""A column as the loop file calls it: any words."""


@dataclass(frozen=True)
class Moments:
    """How a column writes moments."""

    format: TimeFormat | None = None
    """None: ISO 8601, or a number since 1970 where there is a `unit`."""
    unit: int = 0
    """Microseconds of one unit of a number since 1970; 0: no number."""
    zone: str = "UTC"
    """The zone of moments that name none."""


@dataclass(frozen=True)
class Column:
    """One column of a source, in all its names."""

    name: str
    """As the loop file calls the column."""
    found: str
    """As a delivery calls it: the header of a CSV file, the field of an object."""
    stored: str
    """As table `raw`, and a dbt model, call it."""
    type: ColumnType
    moments: Moments = Moments()


class ColumnSection(Section):
    type: Annotated[ColumnType, RAW]
    """A value of another type is refused: the record is quarantined. An integer may be written 1.0."""
    from_: Annotated[ColumnName | None, RAW] = Field(default=None, alias="from")
    """How the delivery calls the column; the same as here where it is not said."""
    format: Annotated[str | None, RAW] = None
    """How a timestamp or date is written, as strptime has it (%m/%d/%Y %I:%M %p), or epoch_s, epoch_ms,
    epoch_us; ISO 8601 and RFC 3339 where it is not said."""
    zone: Annotated[str | None, RAW] = None
    """Time zone (Europe/Paris) of timestamps that name none; UTC where it is not said."""

    @validator_of_model(mode="after")
    def _format_fits(self) -> Self:
        if self.format is not None:
            if self.type not in ("timestamp", "date") or (self.type == "date" and self.format in EPOCHS):
                raise ValueError("a format for timestamps, or one of strptime for dates")
            if self.format not in EPOCHS:
                parse_format(self.format)
        if self.zone is not None:
            if self.type != "timestamp":
                raise ValueError("a zone for timestamps only")
            try:
                zoneinfo.ZoneInfo(self.zone)
            except (KeyError, ValueError, OSError):
                raise ValueError("a time zone by its IANA name, such as UTC or Europe/Paris") from None
        return self

    @model_serializer
    def _short(self) -> str | dict[str, str]:
        """The type alone where nothing else is said: fingerprints of loop files with short columns stay."""
        said = {"from": self.from_, "format": self.format, "zone": self.zone}
        given = {key: value for key, value in said.items() if value is not None}
        return {"type": self.type, **given} if given else self.type

    def named(self, name: str) -> Column:
        """The column, under its `name` in the loop file."""
        unit = EPOCHS.get(self.format or "", 0)
        form = parse_format(self.format) if self.format and not unit else None
        return Column(
            name, self.from_ or name, stored_name(name), self.type, Moments(form, unit, self.zone or "UTC")
        )


@dataclass(frozen=True)
class _SchemaWithShortForm:
    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [{"enum": list(ColumnType.__args__), "type": "string"}, handler(core)]}  # type: ignore[attr-defined]


def _lengthen(value: Any) -> Any:
    return {"type": value} if isinstance(value, str) else value


Columns = dict[ColumnName, Annotated[ColumnSection, BeforeValidator(_lengthen), _SchemaWithShortForm()]]


def stored_name(name: str) -> str:
    """What the lake calls the column `name`: the name itself where that is plain and not one of ours.

    Else its letters and digits, in small letters, with _ between them: every reader of Parquet takes them.
    """
    if _PLAIN.fullmatch(name) and name not in OURS and not name.startswith(_OUR_PREFIX):
        return name
    plain = re.sub(r"\W+", "_", unicodedata.normalize("NFC", name).lower()).strip("_")
    if not plain or not plain[0].isalpha():
        plain = f"column_{plain}".rstrip("_")
    return f"{plain}_" if plain in OURS or plain.startswith(_OUR_PREFIX) else plain


def clashes(columns: Iterable[Column]) -> Iterator[Broken]:
    """The columns that would be stored, or are read, under one name; keys below the section `columns`."""
    stored: Mapping[str, list[Column]] = defaultdict(list)
    found: Mapping[str, list[Column]] = defaultdict(list)
    for column in columns:
        stored[column.stored].append(column)
        found[column.found].append(column)
    for name, several in stored.items():
        if len(several) > 1:
            names = ", ".join(column.name for column in several)
            message = f"would be stored as {name}, and so would another"
            wanted = "names that differ in letters or digits; `from` keeps that of the delivery"
            yield Broken(("columns", several[1].name), message, wanted, names)
    for name, several in found.items():
        if len(several) > 1:
            names = ", ".join(column.name for column in several)
            yield Broken(
                ("columns", several[1].name), f"reads {name}, and so does another", "one column each", names
            )
