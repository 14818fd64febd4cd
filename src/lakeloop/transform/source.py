"""What dbt's models are given: the day's raw rows, with a column for each role that the loop file names."""

# Names are quoted by `identifier`.
# ruff: noqa: S608

from __future__ import annotations

import duckdb
import pyarrow as pa

from lakeloop.lake.row_files import RowFiles
from lakeloop.scratch.duckdb import fill, view_files
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.quoting import identifier
from lakeloop.spec.tasks.base import WHOLE_BELOW
from lakeloop.transform.labels import ANSWER, ANSWERS, ROW, take_answers

_KEYS = {"content": "row_hash", "line": "source_file || ':' || source_line"}
"""`source.key_from` -> the key, as SQL over the columns of raw."""


DELIVERED = "delivered"
"""Table or view of the loop's schema with the rows of `raw` as they are in the lake."""


def roles(loop: LoopSpec) -> dict[str, str]:
    """Column that dbt's models read -> SQL over the columns of raw."""
    return {
        "lakeloop_key": key_of(loop),
        **{f"lakeloop_{name}": _role(loop, name) for name in loop.task.roles()},
        "lakeloop_event_time": time_of(loop),
    }


def hand_over(
    connection: duckdb.DuckDBPyConnection,
    loop: LoopSpec,
    rows: pa.Table | pa.RecordBatchReader | RowFiles,
    told: pa.RecordBatchReader | None = None,
) -> int:
    """Create dbt's source `raw` from rows of `raw`, each role as a further column; return the number of rows.

    The loop file alone says which column is the text and which the answer: no dbt model repeats it. The
    source is a view, so that no text is stored twice, on `DELIVERED`; where the rows are in files, that is a
    view too, and they are read where they lie. Where answers come apart, `told` are those of table `labels`,
    and rows without one are left out.
    """
    if isinstance(rows, RowFiles):
        read = view_files(connection, loop.name, DELIVERED, rows.paths, rows.columns, rows.partition)
    else:
        read = fill(connection, loop.name, DELIVERED, rows)
    columns = ", ".join(f"{expression} as {identifier(role)}" for role, expression in roles(loop).items())
    schema = identifier(loop.name)
    delivered = f"{schema}.{identifier(DELIVERED)}"
    if told is None:
        connection.execute(f"create view {schema}.raw as select *, {columns} from {delivered}")
        return read
    take_answers(connection, schema, told, f"select {key_of(loop)} as key from {delivered}")
    connection.execute(
        f"""
        create view {schema}.raw as select delivered.*, {columns}
        from {delivered} as delivered left join {schema}.{ANSWERS} as told
            on told.{ROW} = cast({key_of(loop)} as varchar)
        where {_has_answer(loop)}
        """
    )
    return read


def key_of(loop: LoopSpec) -> str:
    """What names a row, as SQL over the columns of raw."""
    source = loop.source
    return identifier(source.key_column.stored) if source.key_column else _KEYS[source.key_from or "content"]


def time_of(loop: LoopSpec) -> str:
    """When a row happened, as SQL over the columns of raw."""
    time = loop.source.event_time
    return identifier(loop.source.stored(time)) if time else "null::timestamptz"


def key_columns(loop: LoopSpec) -> list[str]:
    """The columns of raw that `key_of` reads."""
    source = loop.source
    if source.key_column:
        return [source.key_column.stored]
    return ["source_file", "source_line"] if source.key_from == "line" else ["row_hash"]


def _role(loop: LoopSpec, name: str) -> str:
    """The column of a role; of an answer that comes apart the one that was told, else the row's own."""
    if loop.labels is None or name != loop.task.target:
        return column_of(loop, name)
    kind = _DUCKDB[loop.task.roles()[name].kept_as]
    return f"coalesce(cast({ANSWER} as {kind}), {_own_answer(loop)})"


def _own_answer(loop: LoopSpec) -> str:
    """The answer that a row brings itself; null where rows bring none."""
    role = loop.task.roles()[loop.task.target]
    own = column_of(loop, loop.task.target) if role.column in loop.source.types else "null"
    return f"cast({own} as {_DUCKDB[role.kept_as]})"


def _has_answer(loop: LoopSpec) -> str:
    return f"{ROW} is not null or trim(cast({_own_answer(loop)} as varchar)) <> ''"


_DUCKDB = {"string": "varchar", "number": "double"}
"""What a role is kept as -> the same in DuckDB."""


def column_of(loop: LoopSpec, name: str) -> str:
    """The column of a role in what the source brings.

    A number that is kept in words is as the loop file has it: 1.0 is "1".
    """
    role = loop.task.roles()[name]
    column = identifier(loop.source.stored(role.column))
    if role.kept_as != "string" or loop.source.types[role.column] != "number":
        return column
    whole = f"{column} = trunc({column}) and abs({column}) < {WHOLE_BELOW}"
    words = f"cast(cast({column} as bigint) as varchar) else cast({column} as varchar)"
    return f"case when {whole} then {words} end"
