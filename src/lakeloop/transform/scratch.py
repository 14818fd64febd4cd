"""A DuckDB file for one attempt at one stage of one partition: where it lies, how it is opened, its limits.

The file is how dbt and Great Expectations are given rows, and what a person opens to see what happened. It
is never an output: outputs go to the lake.
"""

# Names are quoted by `identifier`, values never enter.
# ruff: noqa: S608

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa

from lakeloop.quality.sql import identifier
from lakeloop.spec.models import LoopSpec

MEMORY_LIMIT = "1GB"
"""Of each connection unless LAKELOOP_DUCKDB_MEMORY is set; DuckDB's default is most of the machine."""
THREADS = 2
_ABANDONED_SECONDS = 24 * 3600
"""A folder that nobody finished is removed by a later attempt when it is older than this."""


@contextmanager
def scratch_folder(work: Path, name: str) -> Iterator[Path]:
    """An empty folder for this attempt alone; however the block ends, it becomes `work`/`name`.

    Two attempts at the same work can overlap (a retry does not wait for the death of the first), so they
    must not share files; afterwards one folder is left, that of the attempt that ended last.
    """
    work.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(work, name)
    folder = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=work))
    try:
        yield folder
    finally:
        _become(folder, work / name)


def memory_limit() -> str:
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
        "temp_directory": str(spill_folder(file)),
    }


def spill_folder(file: Path) -> Path:
    return file.with_name(f"{file.name}.tmp")


def fill(
    connection: duckdb.DuckDBPyConnection,
    schema: str,
    table: str,
    rows: pa.Table | pa.RecordBatchReader,
    also: Sequence[str] = (),
) -> int:
    """Create `schema`.`table` from `rows`, streamed when they come as a reader; return how many.

    `also` are further columns, as SQL over those of `rows`.
    """
    connection.execute(f"create schema if not exists {identifier(schema)}")
    connection.register("incoming", rows)
    name = f"{identifier(schema)}.{identifier(table)}"
    connection.execute(f"create table {name} as select {', '.join(('*', *also))} from incoming")
    connection.unregister("incoming")
    return count(connection, name)


def roles(loop: LoopSpec) -> dict[str, str | None]:
    """What dbt's models read -> the column that the loop file says it is; None where it names none."""
    return {
        "lakeloop_key": loop.source.key,
        "lakeloop_text": loop.task.text,
        "lakeloop_label": loop.task.label,
        "lakeloop_event_time": loop.source.event_time,
    }


def hand_over(
    connection: duckdb.DuckDBPyConnection, loop: LoopSpec, rows: pa.Table | pa.RecordBatchReader
) -> int:
    """Create dbt's source table from rows of `raw`, each role as a column of its own; return how many.

    So that the loop file alone says which column is the text and which the label: no model repeats it.
    """
    columns = [
        f"{identifier(column) if column else 'null::timestamptz'} as {identifier(role)}"
        for role, column in roles(loop).items()
    ]
    return fill(connection, loop.name, "raw", rows, columns)


def count(connection: duckdb.DuckDBPyConnection, relation: str) -> int:
    """Rows of `relation`, a quoted SQL name."""
    ((rows,),) = connection.execute(f"select count(*) from {relation}").fetchall()
    return int(rows)


def _become(folder: Path, final: Path) -> None:
    replaced = folder.with_name(f"{folder.name}-replaced")
    try:
        if final.exists():
            final.rename(replaced)
        folder.rename(final)
    except OSError:
        # Another attempt put its folder there in the same moment; ours is of no use to anybody.
        shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(replaced, ignore_errors=True)


def _remove_abandoned(work: Path, name: str) -> None:
    oldest = time.time() - _ABANDONED_SECONDS
    for folder in work.glob(f".{name}-*"):
        if folder.stat().st_mtime < oldest:
            shutil.rmtree(folder, ignore_errors=True)
