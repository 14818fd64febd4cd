"""What dbt's models are given: the day's raw rows, with a column for each role that the loop file names."""

from __future__ import annotations

import duckdb
import pyarrow as pa

from lakeloop.scratch.duckdb import fill, identifier
from lakeloop.spec.loop import LoopSpec


def roles(loop: LoopSpec) -> dict[str, str | None]:
    """Column that dbt's models read -> the raw column that the loop file names for it; None for none."""
    return {
        "lakeloop_key": loop.source.key,
        **{f"lakeloop_{name}": role.column for name, role in loop.task.roles().items()},
        "lakeloop_event_time": loop.source.event_time,
    }


def hand_over(
    connection: duckdb.DuckDBPyConnection, loop: LoopSpec, rows: pa.Table | pa.RecordBatchReader
) -> int:
    """Create dbt's source table from rows of `raw`, each role as a further column; return the number of rows.

    The loop file alone says which column is the text and which the answer: no dbt model repeats it.
    """
    columns = [
        f"{identifier(column) if column else 'null::timestamptz'} as {identifier(role)}"
        for role, column in roles(loop).items()
    ]
    return fill(connection, loop.name, "raw", rows, columns)
