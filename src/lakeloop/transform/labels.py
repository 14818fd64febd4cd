"""Answers that come apart from their rows: which of them counts for a row, and what rows of a day have got.

Of several of one row the newest counts: by the time that its source gives, else by the day, file and line of
its delivery. So whatever comes first, rows or answers, and in whatever order these do, the same ones count.
"""

# Names are our own or quoted by `identifier`.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Iterable, Mapping

import duckdb
import pyarrow as pa

from lakeloop.lake.tables import FROM_SOURCE

ANSWERS = "lakeloop_answers"
"""Table with the answer that counts of each row that has got one."""
ROW, ANSWER = "lakeloop_row", "lakeloop_answer"
"""Its columns: what names the row, and the answer in words."""
NONE = "none"
"""The digest of a day of which no row has got an answer."""

_NEWEST = """{'at': coalesce(labelled_at, '-infinity'::timestamptz), 'day': "partition", 'origin': origin,
    'file': source_file, 'line': coalesce(source_line, 0)}"""


def answers_read(
    connection: duckdb.DuckDBPyConnection,
    read: pa.RecordBatchReader,
    columns: Mapping[str, str],
    *,
    blank: bool,
) -> pa.RecordBatchReader:
    """Rows of a delivery of answers as table `labels` has them; `connection` serves nothing else meanwhile.

    Args:
        connection: to DuckDB.
        read: the rows, as table `raw` would have them.
        columns: `key`, `answer` and `time` -> SQL over the columns of `read`.
        blank: whether an answer without a word is one: none of the labels. Else it says nothing.
    """
    answer = f"nullif(trim(cast({columns['answer']} as varchar)), '')"
    connection.register("read", read)
    return connection.sql(
        f"""
        select "partition", '{FROM_SOURCE}' as origin, cast({columns["key"]} as varchar) as row_key,
            {f"coalesce({answer}, '')" if blank else answer} as answer,
            cast({columns["time"]} as timestamptz) as labelled_at, source_file, source_line
        from read
        """
    ).to_arrow_reader(16_384)


def take_answers(
    connection: duckdb.DuckDBPyConnection, schema: str, told: pa.RecordBatchReader, keys: str
) -> None:
    """Create `schema`.`ANSWERS` of the rows that `keys` names: SQL that gives a column `key`.

    `told` are rows of table `labels`, of any day; `schema` is a quoted name.
    """
    connection.register("told", told)
    connection.execute(
        f"""
        create table {schema}.{ANSWERS} as
        select row_key as {ROW}, max_by(answer, {_NEWEST}) as {ANSWER}
        from told semi join (select cast(key as varchar) as row_key from ({keys})) as wanted using (row_key)
        where answer is not null group by row_key
        """
    )
    connection.unregister("told")


def digests(
    connection: duckdb.DuckDBPyConnection, rows: pa.RecordBatchReader, key: str, told: pa.RecordBatchReader
) -> dict[str, str]:
    """Day -> a digest of the answers that its rows have got; days without any are left out.

    `rows` have `partition` and what `key`, SQL, reads; `told` are rows of table `labels`.
    """
    _take_keys(connection, rows, key)
    take_answers(connection, "main", told, "select key from keys")
    return _digests(connection)


def about(
    connection: duckdb.DuckDBPyConnection,
    rows: pa.RecordBatchReader,
    key: str,
    told: pa.RecordBatchReader,
    changed: Iterable[pa.RecordBatchReader],
) -> tuple[dict[str, str], int, int]:
    """Day that has a row of `changed` -> the digest of what its rows have got now; and two counts.

    Args:
        connection: with a file that is new.
        rows: all rows of table `raw`: `partition` and what `key`, SQL, reads.
        key: see above.
        told: all rows of table `labels`.
        changed: the column `row_key` of those that came or went; of each reader those of one time, the last
            as they are now.

    Returns:
        Day -> digest; rows that are named in `changed`; keys in the last of it that no row has.
    """
    connection.execute("create table changed (row_key varchar, now boolean)")
    readers = list(changed)
    for number, reader in enumerate(readers):
        now = "true" if number == len(readers) - 1 else "false"
        connection.register("incoming", reader)
        connection.execute(f"insert into changed select distinct row_key, {now} from incoming")
        connection.unregister("incoming")
    _take_keys(connection, rows, key)
    connection.execute(
        'delete from keys where "partition" not in '
        '(select "partition" from keys semi join (select row_key as key from changed) using (key))'
    )
    take_answers(connection, "main", told, "select key from keys")
    named = "select row_key as key from changed"
    ((found,),) = connection.execute(f"select count(*) from keys semi join ({named}) using (key)").fetchall()
    ((waiting,),) = connection.execute(
        f"select count(*) from ({named} where now) as named anti join keys using (key)"
    ).fetchall()
    days = [day for (day,) in connection.execute('select distinct "partition" from keys').fetchall()]
    return {**dict.fromkeys(days, NONE), **_digests(connection)}, int(found), int(waiting)


def _take_keys(connection: duckdb.DuckDBPyConnection, rows: pa.RecordBatchReader, key: str) -> None:
    connection.register("incoming", rows)
    connection.execute(
        f'create table keys as select "partition", cast({key} as varchar) as key from incoming'
    )
    connection.unregister("incoming")


def _digests(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Sums of the halves of md5, whatever the order of rows; their number keeps equal pairs apart."""
    said = f"cast(to_json([{ROW}, {ANSWER}]) as varchar)"
    found = connection.execute(
        f"""
        select "partition", count(*), sum(md5_number_lower({said})), sum(md5_number_upper({said}))
        from (select distinct "partition", key from keys) as rows join {ANSWERS} on {ROW} = key group by all
        """
    ).fetchall()
    return {day: f"{rows}:{int(lower):x}:{int(upper):x}" for day, rows, lower, upper in sorted(found)}
