"""Good rows of a day whose texts are near-duplicates: which one stays, and whose answers contradict others.

What a near-duplicate is says `cleaning.near`. Rows are told apart by their place in the table `EACH_ROW`,
which is not changed once it is made. Only good rows are looked at: a bad row takes no good one with it.
"""

# Names are quoted by `identifier` and `literal`.
# ruff: noqa: S608

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import pyarrow as pa

from lakeloop.cleaning.near import CONTENT, near_key
from lakeloop.scratch.duckdb import literal
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.quoting import identifier

EACH_ROW = "each_row"
"""Table with the rows and the reasons of their own; its columns are those of the mart, `reasons`,
and `flawed`: there are some."""
NEAR = "near"
"""Table of the good rows that may have a near-duplicate: `place` in `EACH_ROW`, `near`: key of their text."""
REPEATED = "repeated"
"""Table with the `place` of each good row that shares its key with a good row of another text."""
DUPLICATES = "duplicates"
"""Table with the `place` of each good row that is left out for an earlier near-duplicate."""

_GOOD = "not flawed"
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
    """Make the tables `NEAR`, `REPEATED` and `DUPLICATES` of `EACH_ROW`.

    When several good rows have the same key and other texts, all of them are bad: nothing says which one is
    right. A row that was delivered twice, or again because it was bad the first time, is not such a case.
    """
    drop = loop.clean.drop_near_duplicates
    _find_near(connection)
    same = f"coalesce('text:' || {NEAR}.near, 'row:' || each.place)" if drop else "'row:' || each.place"
    good = f"(select rowid as place, * from {EACH_ROW} where {_GOOD})"
    connection.execute(
        f"""
        create or replace table {REPEATED} as
        with again as (select row_id from {EACH_ROW} where {_GOOD} group by row_id having count(*) > 1),
        told as (
            select each.place, each.row_id, {same} as same
            from {good} as each left join {NEAR} using (place)
            where each.row_id in (select row_id from again)
        )
        select place from told
        where row_id in (select row_id from told group by row_id having count(distinct same) > 1)
        """
    )
    connection.execute(
        f"""
        create or replace table {DUPLICATES} as
        with alike as (
            select place, row_number() over (partition by near order by source_file, source_line) as rank
            from {NEAR} join {good} as each using (place) anti join {REPEATED} using (place)
            where near is not null
        )
        select place from alike where rank > 1 and {literal("drop") if drop else "null"} is not null
        """
    )


def _find_near(connection: duckdb.DuckDBPyConnection) -> None:
    """Only texts that share a text key can be alike, or texts without what that key is made of."""
    connection.execute(f"create or replace table {NEAR} (place bigint, near varchar)")
    reading = connection.cursor()
    candidates = reading.sql(
        f"""
        select rowid as place, text from {EACH_ROW}
        where {_GOOD} and (
            text_key in (
                select text_key from {EACH_ROW} where {_GOOD} group by text_key having count(*) > 1
            )
            or not regexp_matches(text, {literal(CONTENT)})
        )
        """
    )
    for batch in candidates.to_arrow_reader(_BATCH_ROWS):
        keys = near_key(batch["text"])
        connection.register("found", pa.table({"place": batch["place"], "near": keys}))
        connection.execute(f"insert into {NEAR} select * from found")
        connection.unregister("found")
    reading.close()


def conflicts(connection: duckdb.DuckDBPyConnection, loop: LoopSpec) -> Conflicts:
    """Near-duplicates among the good rows whose answers differ, whether or not one of them is left out."""
    target = identifier(loop.task.target)
    connection.execute(
        f"""
        create or replace temp table conflicting as
        with alike as (
            select near, place, text, cast({target} as varchar) as answer, source_file, source_line,
                place not in (select place from {DUPLICATES}) as stays
            from {NEAR}
            join (select rowid as place, * from {EACH_ROW}) as each using (place)
            anti join {REPEATED} using (place)
            where near is not null
        )
        select * from alike
        where near in (select near from alike group by near having count(distinct answer) > 1)
        """
    )
    ((texts, rows),) = connection.execute("select count(distinct near), count(*) from conflicting").fetchall()
    shown = connection.execute(
        f"""
        select left(arg_min(text, place), {_SHOWN_CHARACTERS}) as text,
            list({{answer: answer, source_file: source_file, source_line: source_line, stays: stays}}
                order by source_file, source_line)[:{_SHOWN_ANSWERS}] as sayings
        from conflicting group by near order by min(place) limit {_SHOWN_TEXTS}
        """
    ).fetchall()
    examples = (Conflict(text, tuple(Saying(**one) for one in sayings)) for text, sayings in shown)
    return Conflicts(int(texts), int(rows), tuple(examples))
