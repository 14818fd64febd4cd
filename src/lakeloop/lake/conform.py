"""Rows on their way into a table: given the table's columns, types and order, and held to one partition."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
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


class ConformedStream:
    """A stream of batches that is conformed, counted and digested while a writer takes it; iterate it once.

    `rows` and `digest()` are those of the batches that have passed.

    Raises:
        DataError: as `conform` does; for other columns when the stream is made, for values while it is read.
    """

    def __init__(
        self,
        source: pa.Table | pa.RecordBatchReader,
        schema: pa.Schema,
        constants: Mapping[str, str],
        table: str,
        retired: Collection[str] = (),
        digest: ContentDigest | MarkedDigest | None = None,
    ) -> None:
        self._batches = source.to_reader() if isinstance(source, pa.Table) else source
        self._schema = schema
        self._constants = constants
        self._table = table
        self._retired = retired
        self._digest = digest
        self.rows = 0
        conform(source.schema.empty_table(), schema, constants, table, retired)

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for batch in self._batches:
            conformed = conform(batch, self._schema, self._constants, self._table, self._retired)
            if self._digest:
                self._digest.update(conformed)
            self.rows += conformed.num_rows
            yield conformed

    def digest(self) -> str:
        """The digest of the rows that have passed; call it once, at the end, of a stream that has one."""
        assert self._digest, "this stream was given no digest"
        return self._digest.hexdigest()
