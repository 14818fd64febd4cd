"""What dbt's models are given: the day's raw rows, with a column for each role that the loop file names."""

from __future__ import annotations

import duckdb
import pyarrow as pa

from lakeloop.lake.row_files import RowFiles
from lakeloop.scratch.duckdb import fill, view_files
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.quoting import identifier
from lakeloop.spec.tasks.base import WHOLE_BELOW

_KEYS = {"content": "row_hash", "line": "source_file || ':' || source_line"}
"""`source.key_from` -> the key, as SQL over the columns of raw."""


DELIVERED = "delivered"
"""Table or view of the loop's schema with the rows of `raw` as they are in the lake."""


def roles(loop: LoopSpec) -> dict[str, str]:
    """Column that dbt's models read -> SQL over the columns of raw."""
    source, time = loop.source, loop.source.event_time
    key = identifier(source.key_column.stored) if source.key_column else _KEYS[source.key_from or "content"]
    return {
        "lakeloop_key": key,
        **{f"lakeloop_{name}": _role(loop, name) for name in loop.task.roles()},
        "lakeloop_event_time": identifier(source.stored(time)) if time else "null::timestamptz",
    }


def hand_over(
    connection: duckdb.DuckDBPyConnection, loop: LoopSpec, rows: pa.Table | pa.RecordBatchReader | RowFiles
) -> int:
    """Create dbt's source `raw` from rows of `raw`, each role as a further column; return the number of rows.

    The loop file alone says which column is the text and which the answer: no dbt model repeats it. The
    source is a view, so that no text is stored twice, on `DELIVERED`; where the rows are in files, that is a
    view too, and they are read where they lie.
    """
    if isinstance(rows, RowFiles):
        read = view_files(connection, loop.name, DELIVERED, rows.paths, rows.columns, rows.partition)
    else:
        read = fill(connection, loop.name, DELIVERED, rows)
    columns = ", ".join(f"{expression} as {identifier(role)}" for role, expression in roles(loop).items())
    schema = identifier(loop.name)
    connection.execute(
        f"create view {schema}.raw as select *, {columns} from {schema}.{identifier(DELIVERED)}"  # noqa: S608
    )
    return read


def _role(loop: LoopSpec, name: str) -> str:
    """The column of a role; a number that is kept in words as the loop file has it: 1.0 is "1"."""
    role = loop.task.roles()[name]
    column = identifier(loop.source.stored(role.column))
    if role.kept_as != "string" or loop.source.types[role.column] != "number":
        return column
    whole = f"{column} = trunc({column}) and abs({column}) < {WHOLE_BELOW}"
    words = f"cast(cast({column} as bigint) as varchar) else cast({column} as varchar)"
    return f"case when {whole} then {words} end"
