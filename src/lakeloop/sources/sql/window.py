"""What the SQL of all databases shares: names, what is read, and in which order."""

from __future__ import annotations

from lakeloop.errors import ConfigurationError
from lakeloop.sources.sql.address import Address
from lakeloop.spec.columns import Column
from lakeloop.spec.quoting import identifier, plain
from lakeloop.spec.sql import SqlSource

MOST_DAYS = 3660


def text(value: str) -> str:
    """A text as SQL has it; backslashes mean nothing there."""
    return "'" + value.replace("'", "''") + "'"


class Relation:
    """One loop's table or query in a database, and the column by which its rows have days.

    Args:
        address: where the database is.
        source: what the loop file says.
        zone: in which days begin and end.
    """

    def __init__(self, address: Address, source: SqlSource, zone: str) -> None:
        self._address = address
        self._source = source
        self._zone = zone
        self._from = _relation(source)
        self._day_column = named(source, source.partition_by)
        self._column = f"q.{identifier(self._day_column.found)}"
        self.where = address.shown


def table_name(table: str) -> str:
    """A table, or `schema.table`, as SQL has it."""
    return ".".join(identifier(part) for part in table.split(".", 1))


def _relation(source: SqlSource) -> str:
    """What is read, under the name q."""
    if source.table is not None:
        return f"{table_name(source.table)} AS q"
    return f"(\n{source.query}\n) AS q"


def selected(source: SqlSource, names: list[str], where: str) -> list[str]:
    """The columns to read of those that there are: the declared ones, or all where others are not ignored.

    Raises:
        ConfigurationError: a declared one is not there.
    """
    declared = [column.found for column in source.fields]
    if missing := [name for name in declared if name not in names]:
        raise ConfigurationError(
            f"there is no column {plain(missing[0])}",
            where=where,
            expected=plain(", ".join(declared), 500),
            found=plain(", ".join(names), 500),
            remedy="correct source.columns in the loop file: `from` says what the database calls a column",
        )
    return declared if source.undeclared == "ignore" else names


def ordered(source: SqlSource, names: list[str]) -> str:
    """The order of the rows of a day: one column, and the rest of them where it is equal."""
    first = named(source, source.order_by or source.key or source.partition_by).found
    places = [str(number + 1) for number, name in enumerate(names) if name != first]
    return ", ".join([f"q.{identifier(first)}", *places])


def named(source: SqlSource, name: str) -> Column:
    """The declared column `name`."""
    return next(column for column in source.fields if column.name == name)
