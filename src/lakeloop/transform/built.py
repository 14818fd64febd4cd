"""What is in the DuckDB file after dbt has built: the rows, and how many a loop's own model dropped.

The counts are taken here from the relations themselves, not from each other, so that they can disagree when
a model loses a row.
"""

# The loop's name is an identifier by the rules of the loop file.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import pyarrow as pa

from lakeloop.scratch.duckdb import count
from lakeloop.transform.told import NodeResult

_BATCH_ROWS = 16_384


def built_rows(connection: duckdb.DuckDBPyConnection, loop: str) -> pa.RecordBatchReader:
    """The rows of the loop's mart model; `connection` is of no other use while they are read."""
    return connection.sql(f"select * from mart_{loop}").to_arrow_reader(_BATCH_ROWS)


def built(connection: duckdb.DuckDBPyConnection, loop: str) -> int:
    """How many rows the loop's mart model has."""
    return count(connection, f"mart_{loop}")


def rows_of(connection: duckdb.DuckDBPyConnection, nodes: Sequence[NodeResult]) -> dict[str, int]:
    """Model -> how many rows it has, of those that are a table or view of their own."""
    return {node.name: count(connection, node.relation) for node in nodes if node.relation}


def dropped_duplicates(connection: duckdb.DuckDBPyConnection, loop: str) -> int:
    """Rows of the staging model that the mart model left out because it kept another with the same text key.

    Our own models leave no row out; one that somebody wrote may. A row that is gone without such another is
    lost, not a duplicate: it is not counted here.
    """
    gone = f"(select * from stg_{loop} anti join mart_{loop} using (source_file, source_line))"
    if not count(connection, gone):
        return 0  # as nearly always: no need to look at the keys of all rows
    return count(connection, f"{gone} as gone where gone.text_key in (select text_key from mart_{loop})")
