"""Rows on their way into a table: given the table's columns, types and order, and held to one partition."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from lakeloop.errors import DataError
from lakeloop.lake.digest import ContentDigest
from lakeloop.lake.marks import MarkedDigest

Rows = TypeVar("Rows", pa.Table, pa.RecordBatch)


def conform(
    rows: Rows,
    schema: pa.Schema,
    constants: Mapping[str, str],
    table: str,
    retired: Collection[str] = (),
) -> Rows:
    """`rows` (a table or a batch) with exactly the columns and types of `schema`, in its order.

    A column of `constants` (name -> the value of all rows) is added where it is missing, and checked where it
    is not. The columns `retired`, which only rows of before have, are filled with nulls. `table` names the
    table.

    Raises:
        DataError: `rows` has other columns than `table`, values that do not fit their types, or another
            value in a column of `constants`.
    """
    for name, value in constants.items():
        if name not in rows.column_names:
            rows = rows.append_column(name, pa.repeat(pa.scalar(value, pa.string()), rows.num_rows))
        elif rows.num_rows and pc.unique(rows[name]).to_pylist() != [value]:
            found = ", ".join(map(repr, pc.unique(rows[name]).to_pylist()[:5]))
            raise DataError(f"rows of another {name}", where=table, expected=repr(value), found=found)
    for field in schema:
        if field.name in retired and field.name not in rows.column_names:
            rows = rows.append_column(field, pa.nulls(rows.num_rows, field.type))
    if set(rows.column_names) != set(schema.names):
        raise DataError(
            "other columns than the table has",
            where=table,
            expected=", ".join(schema.names),
            found=", ".join(rows.column_names),
        )
    try:
        return rows.select(schema.names).cast(schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError("values do not fit the table's types", where=table, found=str(error)) from error


class Conformer:
    """Gives batches of one table, one after the other, its columns; see `conform`.

    `digest`, where there is one, is told of all rows.
    """

    def __init__(
        self,
        schema: pa.Schema,
        constants: Mapping[str, str],
        table: str,
        retired: Collection[str] = (),
        digest: ContentDigest | MarkedDigest | None = None,
    ) -> None:
        self.schema = schema
        self._constants = constants
        self._table = table
        self._retired = retired
        self._digest = digest

    def conformed(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """`batch` with the columns of the table. Raises DataError as `conform` does."""
        found = conform(batch, self.schema, self._constants, self._table, self._retired)
        if self._digest:
            self._digest.update(found)
        return found

    def digest(self) -> str:
        """The digest of the rows so far; call it once, at the end, of a conformer that has one."""
        assert self._digest, "no digest was given"
        return self._digest.hexdigest()
