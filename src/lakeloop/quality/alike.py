"""Good rows of a day whose texts are near-duplicates: which one stays, and whose answers contradict others.

What a near-duplicate is says `cleaning.near`. Rows are told apart by their `PLACE` in the view `EACH_ROW`.
Only good rows are looked at: a bad row takes no good one with it.
"""

# Names are quoted by `identifier` and `literal`.
# ruff: noqa: S608

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import pyarrow as pa

from lakeloop.cleaning.near import joined, near_key
from lakeloop.scratch.duckdb import literal
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.quoting import identifier

PLACE = "place"
"""Column that tells rows apart."""
EACH_ROW = "each_row"
"""View of the rows, with the columns of the mart and `PLACE`."""
NOTED = "noted"
"""Table of the rows of `EACH_ROW` that are bad by themselves, with the `reasons`, and, without any, of those
whose texts have nothing that their key could be made of."""
PASSED = "passed"
"""View of the rows of `EACH_ROW` that are not bad by themselves."""
NEAR = "near"
"""Table of rows of `PASSED` that may have a near-duplicate: `PLACE`, `near` (the key of their text), what a
conflict shows of them: the beginning of `text`, `answer`, `source_file`, `source_line`."""
REPEATED = "repeated"
"""Table of the rows of `PASSED` that share their key with another one of another text."""
DUPLICATES = "duplicates"
"""Table with the `PLACE` of each row of `PASSED` that is left out for an earlier near-duplicate."""

_BATCH_ROWS = 10_000
_SHOWN_TEXTS = 5
_SHOWN_ANSWERS = 10
_SHOWN_CHARACTERS = 500


@dataclass(frozen=True)
class Saying:
    """What one row says of a text that others judge differently."""

    answer: str
    source_file: str
    source_line: int
    stays: bool
    """The row is published; it is not left out as a near-duplicate."""


@dataclass(frozen=True)
class Conflict:
    """A text that is there with several answers."""

    text: str
    sayings: tuple[Saying, ...]
    """By line, the first `_SHOWN_ANSWERS`."""


@dataclass(frozen=True)
class Conflicts:
    """Texts of a day that are there more than once, with different answers."""

    texts: int = 0
    rows: int = 0
    """Rows with one of these texts."""
    examples: tuple[Conflict, ...] = ()

    def __str__(self) -> str:
        return f"{self.rows} row(s) with {self.texts} text(s) contradict each other in their answers"


def compare(connection: duckdb.DuckDBPyConnection, loop: LoopSpec) -> None:
    """Make the tables `NEAR`, `REPEATED` and `DUPLICATES` of `PASSED` and `NOTED`.

    When several good rows have the same key and other texts, all of them are bad: nothing says which one is
    right. A row that was delivered twice, or again because it was bad the first time, is not such a case.
    """
    drop = loop.clean.drop_near_duplicates
    _find_near(connection, loop)
    same = f"coalesce('text:' || {NEAR}.near, 'row:' || each.{PLACE})" if drop else f"'row:' || each.{PLACE}"
    connection.execute(
        f"""
        create or replace table {REPEATED} as
        with again as (select row_id from {PASSED} group by row_id having count(*) > 1),
        told as (
            select each.{PLACE}, each.row_id, {same} as same
            from (from {PASSED} semi join again using (row_id)) as each left join {NEAR} using ({PLACE})
        ),
        apart as (select row_id from told group by row_id having count(distinct same) > 1)
        from {PASSED} semi join (from told semi join apart using (row_id)) as told using ({PLACE})
        """
    )
    connection.execute(
        f"""
        create or replace table {DUPLICATES} as
        with alike as (
            select {PLACE}, row_number() over (partition by near order by source_file, source_line) as rank
            from {NEAR} anti join {REPEATED} using ({PLACE})
            where near is not null
        )
        select {PLACE} from alike where rank > 1 and {literal("drop") if drop else "null"} is not null
        """
    )


def _find_near(connection: duckdb.DuckDBPyConnection, loop: LoopSpec) -> None:
    """Only texts that share a text key can be alike, or texts without what that key is made of."""
    reads = loop.task.reads
    shown = f"{PLACE}, left(text, {_SHOWN_CHARACTERS}) as text, answer, source_file, source_line"
    candidates = f"""
        with alike as (select text_key from {PASSED} group by text_key having count(*) > 1),
        wanted as (
            select {PLACE} from {PASSED} semi join alike using (text_key)
            union select {PLACE} from {NOTED} where len(reasons) = 0
        )
        select {", ".join(map(identifier, reads))}, {PLACE}, source_file, source_line,
            cast({identifier(loop.task.target)} as varchar) as answer
        from {EACH_ROW} semi join wanted using ({PLACE})
        """
    connection.execute(
        f"create or replace table {NEAR} as select {shown}, '' as near from ({candidates}) limit 0"
    )
    reading = connection.cursor()
    for batch in reading.sql(candidates).to_arrow_reader(_BATCH_ROWS):
        near = near_key(joined([batch[name] for name in reads]))
        keyed = pa.Table.from_batches([batch]).append_column("near", near)
        connection.register("found", keyed)
        connection.execute(f"insert into {NEAR} select {shown}, near from found")
        connection.unregister("found")
    reading.close()


def conflicts(connection: duckdb.DuckDBPyConnection) -> Conflicts:
    """Near-duplicates among the good rows whose answers differ, whether or not one of them is left out."""
    connection.execute(
        f"""
        create or replace temp table conflicting as
        with alike as (
            select *, {PLACE} not in (select {PLACE} from {DUPLICATES}) as stays
            from {NEAR} anti join {REPEATED} using ({PLACE})
            where near is not null
        )
        select * from alike
        where near in (select near from alike group by near having count(distinct answer) > 1)
        """
    )
    ((texts, rows),) = connection.execute("select count(distinct near), count(*) from conflicting").fetchall()
    shown = connection.execute(
        f"""
        select arg_min(text, {PLACE}) as text,
            list({{answer: answer, source_file: source_file, source_line: source_line, stays: stays}}
                order by source_file, source_line)[:{_SHOWN_ANSWERS}] as sayings
        from conflicting group by near order by min({PLACE}) limit {_SHOWN_TEXTS}
        """
    ).fetchall()
    examples = (Conflict(text, tuple(Saying(**one) for one in sayings)) for text, sayings in shown)
    return Conflicts(int(texts), int(rows), tuple(examples))
