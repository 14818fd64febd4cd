"""The verdict on every row: what may be published, and what is quarantined, why.

The checks come from the loop file (`kinds`); a row keeps all its reasons, the first one is its code. How the
good rows are compared is in `alike`; checks of the day as a whole are in `expectations`.
"""

# Names and values are quoted by `identifier` and `literal`.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Mapping

import duckdb
import pyarrow as pa

from lakeloop.errors import ConfigurationError
from lakeloop.lake.tables import QUARANTINE, mart_schema, raw_schema
from lakeloop.quality.alike import DUPLICATES, EACH_ROW, REPEATED, compare
from lakeloop.quality.kinds.base import Rule
from lakeloop.quality.kinds.registry import rules_of
from lakeloop.scratch.duckdb import count, literal
from lakeloop.spec.checks import NotNull
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.quoting import identifier

JUDGED = "judged"
"""View of the rows with all their reasons, and `is_duplicate`: left out for a near-duplicate."""
GOOD = "good"
"""View of the rows that are about to be published."""

KEY_REPEATED = "row_id_repeated"
_FOUND_CHARACTERS = 200
"""Characters of a bad value that are quoted; the whole row is kept beside them."""


def rules(loop: LoopSpec) -> tuple[Rule, ...]:
    """All rules for a row of `loop`; the first that a row violates is its reason code."""
    checks = (NotNull(kind="not_null", column="row_id"), *loop.row_checks)
    return tuple(rule for check in checks for rule in rules_of(check))


def judge(
    connection: duckdb.DuckDBPyConnection, rows: pa.Table | pa.RecordBatchReader, loop: LoopSpec
) -> None:
    """Make the view `JUDGED` of `rows` (columns of the mart), and the view `GOOD` on it.

    Each row gets the reasons that lie in itself; then the rows without any are compared with each other, see
    `alike`: so a good row is never left out for one that is bad.

    Raises:
        ConfigurationError: a check cannot be evaluated (a regular expression that RE2 does not know).
    """
    columns = ", ".join(identifier(name) for name in mart_schema(loop).names)
    reasons = ",\n    ".join(_reason(rule) for rule in rules(loop))
    connection.register("incoming", rows)
    try:
        connection.execute(
            f"""
            create or replace table {EACH_ROW} as
            select {columns}, list_filter([{reasons}], lambda reason: reason is not null) as reasons
            from incoming
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
    finally:
        connection.unregister("incoming")
    compare(connection, loop)
    repeated = _struct(KEY_REPEATED, "row_id", literal("expected a key of its own, found it in several rows"))
    connection.execute(
        f"""
        create or replace view {JUDGED} as
        select {columns},
            case when rowid in (select place from {REPEATED}) then [{repeated}] else reasons end as reasons,
            rowid in (select place from {DUPLICATES}) as is_duplicate
        from {EACH_ROW}
        """
    )
    connection.execute(
        f"create or replace view {GOOD} as select {columns} from {JUDGED} "
        "where len(reasons) = 0 and not is_duplicate"
    )


def duplicates(connection: duckdb.DuckDBPyConnection) -> int:
    """Good rows that are left out because an earlier row with the same text stays."""
    return count(connection, DUPLICATES)


def good_rows(connection: duckdb.DuckDBPyConnection, loop: LoopSpec) -> pa.Table:
    """The rows that may be published, with the columns of the mart."""
    return connection.sql(f"select * from {GOOD}").to_arrow_table().cast(mart_schema(loop))


def rejected(
    connection: duckdb.DuckDBPyConnection, loop: LoopSpec, raw: pa.RecordBatchReader | None = None
) -> pa.Table:
    """The bad rows for the table `quarantine`: first reason, all reasons in words, the row as JSON.

    Args:
        connection: where `judge` has put the rows.
        loop: whose rows they are.
        raw: the rows of the day as they were ingested: a bad row is kept with all declared columns, and with
            the values that ingest read, typed; a key that its line lacked is null (`raw_form` is row). A row
            whose line is not among them, or any row without `raw`, is kept as it was judged (built).
    """
    judged = _as_json("judged", {name: name for name in mart_schema(loop).names})
    delivered = _as_json("delivered", {column.found: column.stored for column in loop.source.fields})
    connection.register("delivered", raw if raw is not None else raw_schema(loop).empty_table())
    try:
        return (
            connection.sql(
                f"""
                with judged as (select * from {JUDGED} where len(reasons) > 0)
                select judged."partition", 'validate' as stage, reasons[1].code as reason,
                    list_aggregate(
                        list_transform(reasons, lambda reason: reason.code || ': ' || reason.detail),
                        'string_agg', '; '
                    ) as detail,
                    reasons[1]."column" as "column", judged.source_file, judged.source_line,
                    cast(null as bigint) as byte_offset,
                    cast(
                        case when delivered.source_line is null then {judged}
                        else {delivered} end as varchar
                    ) as raw,
                    row_id as row_key, false as readmitted,
                    case when delivered.source_line is null then 'built' else 'row' end as raw_form
                from judged left join delivered
                    on delivered.source_file = judged.source_file
                    and delivered.source_line = judged.source_line
                order by judged.source_file, judged.source_line
                """
            )
            .to_arrow_table()
            .cast(QUARANTINE)
        )
    finally:
        connection.unregister("delivered")


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
            f"select reasons[1].code as code, count(*) as times from {JUDGED} where len(reasons) > 0 "
            "group by code order by times desc, code"
        ).fetchall()
    )


def _reason(rule: Rule) -> str:
    found = f"coalesce(', found ' || left({rule.found}, {_FOUND_CHARACTERS}), '')"
    detail = f"{literal(f'expected {rule.expected}')} || {found}"
    return f"case when {rule.violated} then {_struct(rule.code, rule.column, detail)} end"


def _struct(code: str, column: str, detail: str) -> str:
    return f"{{'code': {literal(code)}, 'column': {literal(column)}, 'detail': {detail}}}"
