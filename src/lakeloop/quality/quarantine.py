"""Looking into the quarantine: how many rows lie there for which reason, the rows themselves, a copy of them.

The command `quarantine`, the page in Airflow, the report of a day and the error of a stopped day read here.
"""

# All values are bound as parameters; names are constants.
# ruff: noqa: S608

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import duckdb

from lakeloop.errors import ConfigurationError
from lakeloop.lake.tables import QUARANTINE
from lakeloop.records import Frozen
from lakeloop.scratch.duckdb import literal, open_duckdb
from lakeloop.spec.quoting import plain

if TYPE_CHECKING:
    from lakeloop.lake.store import Lake

_ORDER = 'order by "partition" desc, stage, source_file, source_line, byte_offset'
_FORMATS = {".jsonl": "format json", ".csv": "format csv, header", ".parquet": "format parquet"}
_FORMS = {"line": "as it stands in the file", "row": "as it was read", "built": "as it was built"}
_MOST_REASONS = 3
_DETAIL_CHARACTERS = 160
_SAID_CHARACTERS = 100
"""Of an answer, enough to know it by."""


@dataclass(frozen=True)
class Wanted:
    """Which rows of the quarantine are looked at: those that fit everything that is not None."""

    partition: str | None = None
    stage: str | None = None
    """`ingest`, `labels` or `validate`."""
    reason: str | None = None
    """A reason code."""
    column: str | None = None
    """The column that the reason is about; empty for reasons that are about no column."""

    @property
    def _values(self) -> dict[str, str]:
        named = {
            "partition": self.partition,
            "stage": self.stage,
            "reason": self.reason,
            "column": self.column,
        }
        return {name: value for name, value in named.items() if value is not None}

    def condition(self) -> tuple[str, list[str]]:
        """The rows that fit, as SQL, and its parameters."""
        terms = [f"coalesce(\"{name}\", '') = ?" for name in self._values]
        return " and ".join(terms) or "true", list(self._values.values())

    def partitions(self) -> dict[str, str]:
        """The part of it that leaves whole files of the table out."""
        return {name: value for name, value in self._values.items() if name in ("partition", "stage")}


class SetAside(Frozen):
    """Rows that one stage quarantined on one day for one reason in one column."""

    partition: str
    stage: str
    reason: str
    column: str | None
    rows: int
    first_line: int | None
    """Number of the first of these lines in its file, from 1."""
    first_detail: str
    """What is said of that line, for a person."""

    @property
    def words(self) -> str:
        """`wrong_type in created_at (1395), e.g. line 2: created_at: expected timestamp, found ...`."""
        where = f" in {plain(self.column)}" if self.column else ""
        line = "" if self.first_line is None else f"line {self.first_line}: "
        detail = self.first_detail.removeprefix(f"{self.reason}: ")
        return f"{plain(self.reason)}{where} ({self.rows}), e.g. {line}{plain(detail, _DETAIL_CHARACTERS)}"


class Row(Frozen):
    """One row of the quarantine, whole."""

    partition: str
    stage: str
    reason: str
    detail: str
    column: str | None
    source_file: str
    source_line: int | None
    byte_offset: int | None
    raw: str
    raw_form: str | None
    """How `raw` is said: see table `quarantine`."""
    row_key: str | None
    readmitted: bool | None = None
    """It is what a correction made of the record."""

    @property
    def form(self) -> str:
        """The same for people; empty where nobody knows."""
        return _FORMS.get(self.raw_form or "", "")

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Row:
        """A row of the table; columns that are not shown are left out."""
        values = {name: stored[name] for name in cls.model_fields}
        texts = {name: values[name] or "" for name in ("detail", "source_file", "raw")}
        return cls(**{**values, **texts})


def reasons(lake: Lake, wanted: Wanted) -> list[SetAside]:
    """How many rows fit `wanted`, by day (newest first), stage, reason and column, most frequent first.

    Raises:
        ConfigurationError: the loop has no tables yet.
    """
    with _reading(lake, wanted) as (connection, condition, values):
        return tally(connection, f"(select * from quarantine where {condition})", values)


def tally(connection: duckdb.DuckDBPyConnection, relation: str, values: Sequence[str] = ()) -> list[SetAside]:
    """The same of `relation`, which has the columns of table `quarantine`: a name, or SQL with `values`."""
    found = connection.execute(
        f"""
        select "partition", stage, reason, "column", count(*) as times, min(source_line) as first_line,
            coalesce(arg_min(left(detail, 1000), coalesce(source_line, 0)), '') as first_detail
        from {relation}
        group by "partition", stage, reason, "column"
        order by "partition" desc, stage, times desc, reason, "column"
        """,
        list(values),
    ).fetchall()
    return [SetAside(**dict(zip(SetAside.model_fields, row, strict=True))) for row in found]


def rows(
    lake: Lake, wanted: Wanted, *, limit: int, offset: int = 0, lines: Sequence[int] | None = None
) -> list[Row]:
    """The rows that fit `wanted`, newest day first, then by stage, file and line: `limit` behind `offset`.

    With `lines` only those that stand in lines of these numbers.

    Raises:
        ConfigurationError: the loop has no tables yet.
    """
    names = list(Row.model_fields)
    columns = ", ".join(f'"{name}"' for name in names)
    with _reading(lake, wanted) as (connection, condition, values):
        only = "" if lines is None else "and source_line in (select unnest(?::bigint[]))"
        found = connection.execute(
            f"select {columns} from quarantine where {condition} {only} {_ORDER} limit ? offset ?",
            [*values, *([] if lines is None else [list(lines)]), limit, offset],
        ).fetchall()
    return [Row.of(dict(zip(names, row, strict=True))) for row in found]


class Place(NamedTuple):
    """Where a row of the quarantine is from, and why it is there."""

    partition: str
    stage: str
    source_file: str
    source_line: int | None
    reason: str
    column: str | None


def places(lake: Lake, wanted: Wanted) -> list[Place]:
    """The places of the rows that fit `wanted`, by file and line; memory is that of some words for each.

    Raises:
        ConfigurationError: the loop has no tables yet.
    """
    names = ", ".join(f'"{name}"' for name in Place._fields)
    with _reading(lake, wanted) as (connection, condition, values):
        query = f"select {names} from quarantine where {condition} {_ORDER}"
        return [Place(*row) for row in connection.execute(query, values).fetchall()]


def first_with(lake: Lake, partition: str, codes: Sequence[str], answer: str) -> Row | None:
    """The first row of a day that `validate` refused for one of `codes`, and of which `answer` was said."""
    names = list(Row.model_fields)
    columns = ", ".join(f'"{name}"' for name in names)
    said = answer[:_SAID_CHARACTERS]
    with _reading(lake, Wanted(partition, "validate")) as (connection, condition, values):
        found = connection.execute(
            f"select {columns} from quarantine where {condition} and list_contains(?, reason)"
            " and contains(detail, ?)"
            " order by not ends_with(detail, ', found ' || ?), source_file, source_line limit 1",
            [*values, list(codes), said, said],
        ).fetchone()
    return Row.of(dict(zip(names, found, strict=True))) if found else None


def export(lake: Lake, wanted: Wanted, file: Path) -> int:
    """Write the rows that fit `wanted`, with all columns, to `file` (.jsonl, .csv, .parquet); how many.

    Raises:
        ConfigurationError: another ending, a folder that is not there, or no tables yet.
    """
    if file.suffix not in _FORMATS or not file.parent.is_dir():
        raise ConfigurationError(
            "cannot write there",
            where=str(file),
            expected=f"a file in a folder that is there, with one of the endings {', '.join(_FORMATS)}",
        )
    part = file.with_name(f".{file.name}.part")
    query = "select * from quarantine where {} {}"
    with _reading(lake, wanted) as (connection, condition, values):
        try:
            target = f"{literal(str(part))} ({_FORMATS[file.suffix]})"
            ((written,),) = connection.execute(
                f"copy ({query.format(condition, _ORDER)}) to {target}", values
            ).fetchall()
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)
    return int(written)


def causes(found: Sequence[SetAside], lines_read: int) -> list[str]:
    """Why rows of a day are missing, a sentence for each stage that set some aside.

    Such as: 1395 of 1424 lines were quarantined by ingest: wrong_type in created_at (1395), e.g. line 2: ...
    """
    sentences = []
    for stage in dict.fromkeys(one.stage for one in found):
        parts = sorted((one for one in found if one.stage == stage), key=lambda one: -one.rows)
        words = "; ".join(one.words for one in parts[:_MOST_REASONS])
        more = f"; {len(parts) - _MOST_REASONS} more kinds" if len(parts) > _MOST_REASONS else ""
        total = sum(one.rows for one in parts)
        sentences.append(f"{total} of {lines_read} lines were quarantined by {stage}: {words}{more}")
    return sentences


@contextmanager
def _reading(lake: Lake, wanted: Wanted) -> Iterator[tuple[duckdb.DuckDBPyConnection, str, list[str]]]:
    """A connection with the table as `quarantine`, and the condition of `wanted` with its parameters."""
    condition, values = wanted.condition()
    table = lake.dataset("quarantine", version=None, **wanted.partitions())
    with (
        tempfile.TemporaryDirectory(prefix="lakeloop-") as folder,
        open_duckdb(Path(folder) / "quarantine.duckdb") as connection,
    ):
        connection.register("stored", table)
        lacking = [name for name in QUARANTINE.names if name not in table.schema.names]
        also = "".join(f', null::varchar as "{name}"' for name in lacking)  # in a table of an earlier version
        connection.execute(f"create temp view quarantine as select *{also} from stored")
        yield connection, condition, values
