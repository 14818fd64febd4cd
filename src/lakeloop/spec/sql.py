"""The source `sql`: a table or a query of PostgreSQL or SQLite as daily deliveries."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from lakeloop.spec.base import RAW
from lakeloop.spec.columns import ColumnName
from lakeloop.spec.contract import SourceBase, column_rule
from lakeloop.spec.quoting import quote
from lakeloop.spec.rules import Broken, refuse_broken

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")
_TOKEN = re.compile(
    r"""(?P<skipped>(?<!\w)[eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | "(?:[^"]|"")*" | --[^\n]* | /\*.*?\*/
    | (?<![\w$])(?P<tag>\$(?:[A-Za-z_]\w*)?\$).*?(?P=tag))
    | (?P<open>\() | (?P<close>\)) | (?P<bad>[;'"\0]|/\*)""",
    re.DOTALL | re.VERBOSE,
)
_FIRST_WORD = re.compile(
    r"(?:\s|--[^\n]*\n|/\*.*?\*/)*(select|with|values|table)\b", re.DOTALL | re.IGNORECASE
)


class SqlSource(SourceBase):
    """Rows of a database, those of one day a delivery. They are read in one read-only transaction."""

    kind: Annotated[Literal["sql"], RAW]
    connection: Annotated[str | None, RAW] = None
    """Name of a connection to PostgreSQL or SQLite: its address is in the environment variable
    LAKELOOP_CONN_<NAME> or, as Airflow has it, AIRFLOW_CONN_<NAME>. Never the address itself."""
    sqlite: Annotated[str | None, RAW] = None
    """Instead of a connection: path of a SQLite file; inside the project or an allowed data root."""
    table: Annotated[str | None, RAW] = Field(default=None, min_length=1, max_length=200)
    """Table or view, as the database calls it; `schema.table` where it is in another schema."""
    query: Annotated[str | None, RAW] = Field(default=None, min_length=1, max_length=20_000)
    """Instead of a table: one SELECT. Lakeloop puts the window of the day around it."""
    partition_by: Annotated[ColumnName, RAW]
    """Timestamp or date column that says a row's day, which begins at midnight in `schedule.timezone`. A row
    in which it says nothing is in no delivery: a warning counts these."""
    order_by: Annotated[ColumnName | None, RAW] = None
    """Column by which the rows of a day are read; the key where it is not said. Equal ones are ordered by
    the other columns."""

    @property
    def place(self) -> str:
        """The table, or the query's database, for a person."""
        return f"{self.table or 'query'} of {self.connection or self.sqlite}"

    @property
    def local_path(self) -> tuple[str, str] | None:
        return None if self.sqlite is None else ("sqlite", self.sqlite)

    @model_validator(mode="after")
    def _says_what_is_read(self) -> Self:
        refuse_broken(list(self._broken_rules()))
        return self

    def _broken_rules(self) -> Iterator[Broken]:
        if (self.connection is None) == (self.sqlite is None):
            both = "both" if self.sqlite else "neither"
            yield Broken("connection", "where is the database", "connection or sqlite, one of them", both)
        if self.connection is not None and not _NAME.fullmatch(self.connection):
            # Not what stands there: it may be an address with a password in it.
            wanted = "a name of letters, digits and _; its address goes to LAKELOOP_CONN_<NAME>"
            yield Broken("connection", "not the name of a connection", wanted, "another text (not shown)")
        if self.sqlite is not None and "://" in self.sqlite:
            yield Broken("sqlite", "not a path", "the path of a SQLite file", "an address (not shown)")
        if (self.table is None) == (self.query is None):
            both = "both" if self.table else "neither"
            yield Broken("table", "what is read", "table or query, one of them", both)
        if self.query is not None and (wrong := _not_one_select(self.query)):
            yield Broken("query", "not one SELECT", "one statement that begins with SELECT or WITH", wrong)
        if self.table is not None and "\0" in self.table:
            yield Broken("table", "wrong value", "a name", quote(self.table))
        if self.format != "jsonl":
            yield Broken("format", "not a key of sql", "no format: a database has types", self.format)
        yield from column_rule("partition_by", self.partition_by, self.types, ("timestamp", "date"))
        if self.order_by is not None and self.order_by not in self.columns:
            names = tuple(self.columns)
            yield Broken("order_by", "no such column", "a column of source.columns", self.order_by, names)


def _not_one_select(query: str) -> str:
    """What keeps `query` from standing in parentheses within another; empty when nothing does.

    The database has the last word: the transaction is read-only, and a statement is prepared alone.
    """
    if not _FIRST_WORD.match(query):
        return f"begins with {quote(query.split(maxsplit=1)[0] if query.strip() else '', 30)}"
    depth = 0
    for token in _TOKEN.finditer(query):
        if token["bad"]:
            what = {";": "a semicolon", "/*": "a comment without an end", "\0": "a NUL"}
            return what.get(token["bad"], "a quote without an end")
        if token["skipped"] and token["skipped"].startswith("/*") and "/*" in token["skipped"][2:]:
            return "a comment in a comment"
        depth += bool(token["open"]) - bool(token["close"])
        if depth < 0:
            break
    return "parentheses that do not fit" if depth else ""
