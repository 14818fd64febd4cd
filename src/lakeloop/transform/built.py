"""What is in the DuckDB file after dbt has built: the rows, and how many a loop's own model dropped.

The counts are taken here from the relations themselves, not from each other, so that they can disagree when
a model loses a row.
"""

# The loop's name is an identifier by the rules of the loop file.
# ruff: noqa: S608

from __future__ import annotations

import duckdb
import pyarrow as pa

from lakeloop.scratch.duckdb import count


def built_rows(connection: duckdb.DuckDBPyConnection, loop: str) -> pa.Table:
    """The rows of the loop's mart model."""
    return connection.sql(f"select * from mart_{loop}").to_arrow_table()


def dropped_duplicates(connection: duckdb.DuckDBPyConnection, loop: str) -> int:
    """Rows of the staging model that the mart model left out because it kept another with the same text key.

    Our own models leave no row out; one that somebody wrote may. A row that is gone without such another is
    lost, not a duplicate: it is not counted here.
    """
    return count(
        connection,
        f"""(
            select 1 from stg_{loop} as staged
            anti join mart_{loop} as kept using (source_file, source_line)
            where staged.text_key in (select text_key from mart_{loop})
        )""",
    )
