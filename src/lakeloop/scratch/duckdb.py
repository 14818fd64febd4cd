"""DuckDB files for one attempt at one stage of one partition: how they are opened, filled and limited.

A file is how dbt and Great Expectations are given rows, and what a person opens to see what happened. It is
never an output: outputs go to the lake.
"""

# Names are quoted by `identifier`, values by `literal`.
# ruff: noqa: S608

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa

from lakeloop.spec.quoting import identifier

MEMORY_LIMIT = "1GB"
"""For each connection, unless LAKELOOP_DUCKDB_MEMORY is set; DuckDB's default is most of the machine."""
THREADS = 2
_GLOB = re.compile(r"[\[*?]")


def memory_limit() -> str:
    """How much memory a connection may use, in DuckDB's words: LAKELOOP_DUCKDB_MEMORY or `MEMORY_LIMIT`."""
    return os.environ.get("LAKELOOP_DUCKDB_MEMORY", MEMORY_LIMIT)


@contextmanager
def open_duckdb(file: Path, *, read_only: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
    """Connect to `file` (made when it is not there) with bounded memory, spilling beside it, in UTC."""
    with duckdb.connect(str(file), read_only=read_only, config={**limits(file)}) as connection:
        # Not among the options above: time zones are an extension, which is loaded after them.
        connection.execute("set TimeZone = 'UTC'")
        yield connection


def limits(file: Path) -> dict[str, str]:
    """Options of DuckDB that bound what a connection to `file` uses."""
    return {
        "memory_limit": memory_limit(),
        "threads": str(THREADS),
        # A file is read a few times and then left alone: packing it costs more than all that.
        "force_compression": "uncompressed",
        "temp_directory": str(spill_folder(file)),
    }


def spill_folder(file: Path) -> Path:
    """The folder beside `file` into which DuckDB spills what does not fit into memory."""
    return file.with_name(f"{file.name}.tmp")


def fill(
    connection: duckdb.DuckDBPyConnection,
    schema: str,
    table: str,
    rows: pa.Table | pa.RecordBatchReader,
) -> int:
    """Create `schema`.`table` from `rows`, streamed when they come as a reader; return the number of rows."""
    connection.execute(f"create schema if not exists {identifier(schema)}")
    connection.register("incoming", rows)
    name = f"{identifier(schema)}.{identifier(table)}"
    connection.execute(f"create table {name} as from incoming")
    connection.unregister("incoming")
    return count(connection, name)


def view_files(
    connection: duckdb.DuckDBPyConnection,
    schema: str,
    view: str,
    paths: Sequence[str],
    columns: Sequence[str],
    constants: Mapping[str, str],
) -> int:
    """Create or replace `schema`.`view` of the rows of Parquet files, not copied; return the number of rows.

    Args:
        connection: a view in its file stays good for as long as the files are there.
        schema: made when it is not there.
        view: its name.
        paths: absolute; at least one.
        columns: of the view, in its order.
        constants: those among `columns` that are not in the files -> the value of all rows.
    """
    selected = [
        f"{_quoted(constants[name])} as {identifier(name)}" if name in constants else identifier(name)
        for name in columns
    ]
    files = ", ".join(_quoted(_GLOB.sub(r"[\g<0>]", path)) for path in paths)
    name = f"{identifier(schema)}.{identifier(view)}"
    connection.execute(f"create schema if not exists {identifier(schema)}")
    connection.execute(
        f"create or replace view {name} as select {', '.join(selected)} "
        f"from read_parquet([{files}], hive_partitioning = false)"
    )
    return count(connection, name)


def count(connection: duckdb.DuckDBPyConnection, relation: str) -> int:
    """Rows of `relation`, a quoted SQL name."""
    ((rows,),) = connection.execute(f"select count(*) from {relation}").fetchall()
    return int(rows)


def literal(text: str) -> str:
    """`text` as an SQL string expression.

    DuckDB's strings have no escape but the doubled quote. Colons are spelt out because SQLAlchemy, through
    which Great Expectations sends its queries, takes `:word` for a bound value, in a string too.
    """
    quoted = _quoted(text).replace(":", "' || chr(58) || '")
    return f"({quoted})" if ":" in text else quoted


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
