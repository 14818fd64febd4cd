"""What dbt's models are given: the day's raw rows, with a column for each role that the loop file names."""

from __future__ import annotations

import duckdb
import pyarrow as pa

from lakeloop.scratch.duckdb import fill, identifier
from lakeloop.spec.loop import LoopSpec


def roles(loop: LoopSpec) -> dict[str, str | None]:
    """Column that dbt's models read -> the raw column that the loop file names for it; None for none."""
    declared = {
        "lakeloop_key": loop.source.key,
        **{f"lakeloop_{name}": role.column for name, role in loop.task.roles().items()},
        "lakeloop_event_time": loop.source.event_time,
    }
    return {role: name and loop.source.stored(name) for role, name in declared.items()}


def hand_over(
    connection: duckdb.DuckDBPyConnection, loop: LoopSpec, rows: pa.Table | pa.RecordBatchReader
) -> int:
    """Create dbt's source table from rows of `raw`, each role as a further column; return the number of rows.

    The loop file alone says which column is the text and which the answer: no dbt model repeats it.
    """
    numbers = {
        f"lakeloop_{name}"
        for name, role in loop.task.roles().items()
        if role.kept_as == "string" and loop.source.types[role.column] == "number"
    }
    columns = [
        f"{_in_words(column) if role in numbers else _as_it_is(column)} as {identifier(role)}"
        for role, column in roles(loop).items()
    ]
    return fill(connection, loop.name, "raw", rows, columns)


def _as_it_is(column: str | None) -> str:
    return identifier(column) if column else "null::timestamptz"


def _in_words(column: str | None) -> str:
    """A number that is an answer in words: 1.0 is "1", as the loop file has it."""
    assert column, "a task names its columns"
    name = identifier(column)
    whole = f"{name} = trunc({name}) and abs({name}) < 1e15"
    return f"case when {whole} then cast(cast({name} as bigint) as varchar) else cast({name} as varchar) end"
