"""The verdict on every row: what may be published, and what is quarantined, why.

The checks come from the loop file (`kinds`); a row keeps all its reasons, the first one is its code. How the
good rows are compared is in `alike`; checks of the day as a whole are in `expectations`.
"""

# Names and values are quoted by `identifier` and `literal`.
# ruff: noqa: S608

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import duckdb
import pyarrow as pa

from lakeloop.cleaning.near import CONTENT
from lakeloop.errors import ConfigurationError
from lakeloop.lake.row_files import RowFiles
from lakeloop.lake.tables import mart_schema, raw_schema
from lakeloop.quality.alike import DUPLICATES, EACH_ROW, NOTED, PASSED, PLACE, REPEATED, compare
from lakeloop.quality.kinds.base import Rule
from lakeloop.quality.kinds.registry import rules_of
from lakeloop.scratch.duckdb import count, literal, view_files
from lakeloop.spec.checks import EachOf, NotNull, OneOf
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.quoting import identifier

BAD = "bad"
"""View of the bad rows, with the columns of the mart and all their `reasons`."""
GOOD = "good"
"""View of the rows that are about to be published."""

REJECTED = "rejected"
"""Table of the bad rows, with the columns of table `quarantine`."""

RECORDS = pa.schema(
    [
        ("source_file", pa.string()),
        ("source_line", pa.int64()),
        ("byte_offset", pa.int64()),
        ("raw", pa.string()),
    ]
)
"""Records of files as they stand there: where they are, as rows refer to it, and their text."""

_TAKEN_IN = "taken_in"
"""Table of the rows as they came."""
_BATCH_ROWS = 16_384
KEY_REPEATED = "row_id_repeated"
_FOUND_CHARACTERS = 200
_MOST_UNKNOWN = 200
"""Answers that are counted one by one; files that are no data may have a million."""
"""Characters of a bad value that are quoted; the whole row is kept beside them."""


def rules(loop: LoopSpec) -> tuple[Rule, ...]:
    """All rules by which a row of `loop` is quarantined; the first that it violates is its reason code."""
    checks = (NotNull(kind="not_null", column="row_id"), *loop.row_checks)
    return tuple(rule for check in checks if check.quarantines for rule in rules_of(check))


def give_verdicts(
    connection: duckdb.DuckDBPyConnection, rows: pa.Table | pa.RecordBatchReader | RowFiles, loop: LoopSpec
) -> None:
    """Make the views `BAD` and `GOOD` of `rows` (columns of the mart): what becomes of them.

    Each row gets the reasons that lie in itself; then the rows without any are compared with each other, see
    `alike`: so a good row is never left out for one that is bad.

    Raises:
        ConfigurationError: a check cannot be evaluated (a regular expression that RE2 does not know).
    """
    _take_in(connection, rows)
    _judge_each(connection, loop)
    compare(connection, loop)
    columns = _columns(loop)
    repeated = _struct(KEY_REPEATED, "row_id", literal("expected a key of its own, found it in several rows"))
    connection.execute(
        f"""
        create or replace view {BAD} as
        select {columns}, reasons from {NOTED} where len(reasons) > 0
        union all select {columns}, [{repeated}] as reasons from {REPEATED}
        """
    )
    connection.execute(
        f"""
        create or replace view {GOOD} as
        select {columns} from {PASSED}
        anti join (select {PLACE} from {REPEATED} union all select {PLACE} from {DUPLICATES}) as left_out
            using ({PLACE})
        """
    )


def _take_in(connection: duckdb.DuckDBPyConnection, rows: pa.Table | pa.RecordBatchReader | RowFiles) -> None:
    """Make the view `EACH_ROW` of `rows`, which are copied: they are looked at a dozen times."""
    if isinstance(rows, RowFiles):
        view_files(connection, "main", "incoming", rows.paths, rows.columns, rows.partition)
    else:
        connection.register("incoming", rows)
    connection.execute(f"create or replace table {_TAKEN_IN} as from incoming")
    if isinstance(rows, RowFiles):
        connection.execute("drop view incoming")
    else:
        connection.unregister("incoming")
    connection.execute(f"create or replace view {EACH_ROW} as select *, rowid as {PLACE} from {_TAKEN_IN}")


def _columns(loop: LoopSpec) -> str:
    return ", ".join(identifier(name) for name in mart_schema(loop).names)


def _judge_each(connection: duckdb.DuckDBPyConnection, loop: LoopSpec) -> None:
    """Make the table `NOTED`, of the rows that have reasons in themselves, and the view `PASSED`."""
    each = [rule for rule in rules(loop) if not rule.once]
    reasons = ",\n    ".join(_reason(rule) for rule in each)
    flawed = " or ".join(f"({rule.violated})" for rule in each)
    try:
        # What is said of a row is put together for bad rows only.
        connection.execute(
            f"""
            create or replace table {NOTED} as
            select *, list_filter([{reasons}], lambda reason: reason is not null) as reasons
            from {EACH_ROW}
            where {flawed} or not regexp_matches(text, {literal(CONTENT)})
            """
        )
    except duckdb.InvalidInputException as error:
        raise ConfigurationError(
            "a row check cannot be evaluated",
            where="checks.rows",
            expected="regular expressions in RE2 syntax",
            found=str(error).strip().splitlines()[0],
            remedy="correct the check in the loop file",
        ) from error
    bad = f"(select {PLACE} from {NOTED} where len(reasons) > 0) as flawed"
    connection.execute(
        f"create or replace view {PASSED} as select * from {EACH_ROW} anti join {bad} using ({PLACE})"
    )
    for rule in rules(loop):
        if rule.once:
            _note_later(connection, rule)


def _note_later(connection: duckdb.DuckDBPyConnection, rule: Rule) -> None:
    """Note the rows of `PASSED` whose values an earlier one of them has: none is bad for one that is bad."""
    connection.execute(
        f"""
        create or replace temp table later as
        select {PLACE}, [{_reason(rule)}] as again from {PASSED} where {rule.violated} {rule.later}
        """
    )
    connection.execute(
        f"update {NOTED} as noted set reasons = later.again from later where noted.{PLACE} = later.{PLACE}"
    )
    connection.execute(
        f"""
        insert into {NOTED}
        select each.*, later.again from {EACH_ROW} as each join later using ({PLACE})
        where each.{PLACE} not in (select {PLACE} from {NOTED})
        """
    )


def reasons_alone(
    connection: duckdb.DuckDBPyConnection, rows: pa.Table, loop: LoopSpec
) -> dict[int, list[dict[str, str]]]:
    """Number of a row, from 0 -> the reasons (`code`, `column`, `detail`) that lie in itself.

    Rows without any are left out. `rows` have the columns of the mart.

    Raises:
        ConfigurationError: a check cannot be evaluated.
    """
    numbered = rows.set_column(
        rows.schema.get_field_index("source_line"), "source_line", pa.array(range(len(rows)), pa.int64())
    )
    _take_in(connection, numbered)
    _judge_each(connection, loop)
    found = connection.execute(f"select source_line, reasons from {NOTED} where len(reasons) > 0")
    return dict(found.fetchall())


def bad_places(connection: duckdb.DuckDBPyConnection) -> dict[tuple[str, int | None], str]:
    """File and line of each bad row -> its reason code."""
    found = connection.execute(f"select source_file, source_line, reasons[1].code from {BAD}").fetchall()
    return {(file, line): code for file, line, code in found}


def unknown_answers(connection: duckdb.DuckDBPyConnection, loop: LoopSpec) -> dict[str, int]:
    """Right answers that the task does not know -> bad rows with nothing else wrong; the most frequent."""
    task, codes = loop.task, answer_codes(loop)
    if not codes:
        return {}
    other = f"list_filter(reasons, lambda reason: reason.code not in ({', '.join(map(literal, codes))}))"
    counted: Counter[str] = Counter()
    found = connection.execute(
        f"select {identifier(task.target)}, count(*) from {BAD} where len({other}) = 0 group by all"
    )
    for value, times in found.fetchall():
        counted += Counter(dict.fromkeys(task.unknown([value], normalise=False), times))
    return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:_MOST_UNKNOWN])


def answer_codes(loop: LoopSpec) -> list[str]:
    """Reason codes of rows whose right answer the task does not know; none where every answer is one."""
    checks = [check for check in loop.task.row_checks() if check.column == loop.task.target]
    known = [check for check in checks if isinstance(check, OneOf | EachOf)]
    return [rule.code for check in known for rule in rules_of(check)]


def duplicates(connection: duckdb.DuckDBPyConnection) -> int:
    """Good rows that are left out because an earlier row with the same text stays."""
    return count(connection, DUPLICATES)


def good_rows(connection: duckdb.DuckDBPyConnection) -> pa.RecordBatchReader:
    """The rows that may be published, with the columns of the mart; `connection` serves nothing else then."""
    return connection.sql(f"select * from {GOOD}").to_arrow_reader(_BATCH_ROWS)


def reject(
    connection: duckdb.DuckDBPyConnection, loop: LoopSpec, places: pa.RecordBatchReader | None = None
) -> None:
    """Make the table `REJECTED` of the bad rows: first reason, all reasons in words, the row as JSON.

    Args:
        connection: where `give_verdicts` has put the rows.
        loop: whose rows they are.
        places: `source_file` and `source_line` of the rows of the day as they were ingested. A bad row that
            is one of them is to be kept as it was delivered (`put_records`) or as it was read (`put_values`):
            `raw_form` is row. Any other is kept as it was judged (built).
    """
    judged = _as_json("judged", {name: name for name in mart_schema(loop).names})
    ingested = places if places is not None else raw_schema(loop).empty_table()
    with _registered(connection, "ingested", ingested):
        connection.execute(
            f"""
            create or replace table {REJECTED} as
            select "partition", 'validate' as stage, reasons[1].code as reason,
                list_aggregate(
                    list_transform(reasons, lambda reason: reason.code || ': ' || reason.detail),
                    'string_agg', '; '
                ) as detail,
                reasons[1]."column" as "column", source_file, source_line,
                cast(null as bigint) as byte_offset, cast({judged} as varchar) as raw,
                row_id as row_key, false as readmitted,
                case when exists (
                    from ingested where ingested.source_file = judged.source_file
                        and ingested.source_line = judged.source_line
                ) then 'row' else 'built' end as raw_form
            from {BAD} as judged
            """
        )


def mark_readmitted(connection: duckdb.DuckDBPyConnection, places: Iterable[tuple[str, int]]) -> None:
    """Say of the bad rows at these files and lines that they are what corrections made of their records."""
    for file, line in places:
        connection.execute(
            f"update {REJECTED} set readmitted = true where source_file = ? and source_line = ?", [file, line]
        )


def typed_places(connection: duckdb.DuckDBPyConnection) -> pa.RecordBatchReader:
    """`source_file` and `source_line` of the bad rows that are to be kept as they were delivered.

    A corrected one is not: it was delivered otherwise.
    """
    typed = f"select source_file, source_line from {REJECTED} where raw_form = 'row' and not readmitted"
    return connection.sql(typed).to_arrow_reader(_BATCH_ROWS)


def put_values(connection: duckdb.DuckDBPyConnection, loop: LoopSpec, raw: pa.RecordBatchReader) -> None:
    """Keep bad rows that no record was found of with all declared columns, as ingest read them, typed.

    A key that the line of a row lacked is null. `raw` are the rows of the day as they were ingested.
    """
    values = _as_json("ingested", {column.found: column.stored for column in loop.source.fields})
    with _registered(connection, "ingested", raw):
        connection.execute(
            f"""
            update {REJECTED} as rejected set raw = cast({values} as varchar)
            from ingested
            where rejected.raw_form = 'row' and rejected.source_file = ingested.source_file
                and rejected.source_line = ingested.source_line
            """
        )


def put_records(connection: duckdb.DuckDBPyConnection, records: Iterable[pa.RecordBatch]) -> None:
    """Keep bad rows as they stand in their files; `records` have the columns `RECORDS`."""
    connection.execute(
        "create or replace temp table found "
        "(source_file varchar, source_line bigint, byte_offset bigint, raw varchar)"
    )
    for batch in records:
        with _registered(connection, "read_again", pa.Table.from_batches([batch])):
            connection.execute("insert into found select * from read_again")
    connection.execute(
        f"""
        update {REJECTED} as rejected
        set byte_offset = found.byte_offset, raw = found.raw, raw_form = 'line'
        from found
        where rejected.raw_form = 'row' and rejected.source_file = found.source_file
            and rejected.source_line = found.source_line
        """
    )


def rejected(connection: duckdb.DuckDBPyConnection, first: int | None = None) -> pa.RecordBatchReader:
    """The bad rows for the table `quarantine`, by line: all, or the `first` of them."""
    ordered = f"select * from {REJECTED} order by source_file, source_line"
    limit = "" if first is None else f" limit {first}"
    return connection.sql(ordered + limit).to_arrow_reader(_BATCH_ROWS)


@contextmanager
def _registered(
    connection: duckdb.DuckDBPyConnection, name: str, rows: pa.Table | pa.RecordBatchReader
) -> Iterator[None]:
    connection.register(name, rows)
    try:
        yield
    finally:
        connection.unregister(name)


def _as_json(relation: str, columns: Mapping[str, str]) -> str:
    """An object with a field for each of `columns`: name of the field -> column of `relation`."""
    fields = ", ".join(
        f"{literal(name)}: {relation}.{identifier(column)}" for name, column in columns.items()
    )
    return f"to_json({{{fields}}})"


def reason_counts(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Rows by their first reason, most frequent first."""
    return dict(
        connection.execute(
            f"select reasons[1].code as code, count(*) as times from {BAD} "
            "group by code order by times desc, code"
        ).fetchall()
    )


def _reason(rule: Rule) -> str:
    found = f"coalesce(', found ' || left({rule.found}, {_FOUND_CHARACTERS}), '')"
    detail = f"{literal(f'expected {rule.expected}')} || {found}"
    return f"case when {rule.violated} then {_struct(rule.code, rule.column, detail)} end"


def _struct(code: str, column: str, detail: str) -> str:
    return f"{{'code': {literal(code)}, 'column': {literal(column)}, 'detail': {detail}}}"
