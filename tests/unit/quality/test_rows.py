"""The verdict on rows: which are bad, for which reasons, and that no value can leave its quotes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakeloop.errors import ConfigurationError
from lakeloop.lake.row_files import RowFiles
from lakeloop.lake.tables import QUARANTINE, raw_schema
from lakeloop.quality.alike import conflicts
from lakeloop.quality.rows import (
    RECORDS,
    duplicates,
    give_verdicts,
    good_rows,
    put_records,
    put_values,
    reason_counts,
    reject,
    rejected,
)
from lakeloop.spec.checks import Length, Matches, NotNull, OneOf
from lakeloop.spec.loop import LoopSpec
from tests.support.small_loop import MART, small_loop
from tests.unit.quality.conftest import Judge, mart_table

HOSTILE = [
    "'; drop table judged; --",
    "it's",
    '"quoted"',
    "back\\slash\\",
    "{batch} {0} {}",
    ":bound :1 ::cast",
    "100 % %s %(x)s",
    "$1 $name ${x}",
    "new\nline\r\n\ttab",
    "nul\x00byte",
    "Ünïcödé 東京 🗼",
]


LOOP = small_loop()


def loop_with(*checks: NotNull | Length | OneOf | Matches, **task: Any) -> LoopSpec:
    sections: dict[str, Any] = {"checks": {"rows": [check.model_dump() for check in checks]}}
    if task:
        labels = ("business", "sports", "tech")
        sections["task"] = {"text": "text", "label": "label", "labels": labels, **task}
        sections["clean"] = {"normalise": False}  # any label will do
    return small_loop(**sections)


def test_what_the_task_needs_is_checked_without_being_asked_for(judged: Judge) -> None:
    rows: list[dict[str, Any]] = [
        {},
        {"text": None},
        {"text": ""},
        {"text": " \u00a0\n "},
        {"label": None},
        {"label": "cooking"},
        {"row_id": None},
        {"text": "", "label": "cooking"},
    ]
    assert judged(small_loop(), rows) == {
        "2": ["text_too_short"],
        "3": ["text_too_short"],
        "4": ["text_too_short"],
        "5": ["label_missing"],
        "6": ["label_unknown"],
        "7": ["row_id_missing"],
        "8": ["text_too_short", "label_unknown"],
    }


def test_length_counts_characters_after_trimming(judged: Judge) -> None:
    loop = loop_with(Length(kind="length", column="text", min=3, max=4))
    rows = [{"text": text} for text in ("ab", "abc", " abcd\u2003", "abcde", "東京都", "  ab  ")]
    assert judged(loop, rows) == {"1": ["text_too_short"], "4": ["text_too_long"], "6": ["text_too_short"]}


def test_length_without_a_minimum_lets_a_missing_value_pass(judged: Judge) -> None:
    check = Length(kind="length", column="label", min=0, max=8)
    loop = loop_with(check, labels=("tech", "entertainment"))
    assert judged(loop, [{"label": None}, {"label": "entertainment"}]) == {
        "1": ["label_missing"],
        "2": ["label_too_long"],
    }


def test_a_regular_expression_must_match_somewhere(judged: Judge) -> None:
    loop = loop_with(Matches(kind="matches", column="text", regex=r"[A-Z]\w{2}"))
    assert judged(loop, [{"text": "no Cap"}, {"text": "no cap"}, {"text": "no\nCap\n"}]) == {
        "2": ["text_mismatch"]
    }


def test_an_event_time_can_be_asked_for(judged: Judge) -> None:
    assert judged(loop_with(NotNull(kind="not_null", column="event_time")), [{}]) == {
        "1": ["event_time_missing"]
    }


def test_a_key_that_two_good_rows_have_is_nobodys(judged: Judge) -> None:
    rows = [{"row_id": "x"}, {"row_id": "y"}, {"row_id": "x", "text": "another"}]
    assert judged(small_loop(), rows) == {"1": ["row_id_repeated"], "3": ["row_id_repeated"]}


def test_a_row_delivered_again_because_it_was_bad_keeps_its_key(judged: Judge) -> None:
    assert judged(small_loop(), [{"row_id": "x", "label": None}, {"row_id": "x"}]) == {"1": ["label_missing"]}


def published(connection: duckdb.DuckDBPyConnection, loop: LoopSpec, *rows: dict[str, Any]) -> list[int]:
    """Judge the rows; the lines of those that are to be published."""
    give_verdicts(connection, mart_table(rows), loop)
    return sorted(good_rows(connection).read_all()["source_line"].to_pylist())


def quarantined(connection: duckdb.DuckDBPyConnection, loop: LoopSpec = LOOP) -> pa.Table:
    """The rows that were judged bad, none of which was ingested from a line that is known."""
    reject(connection, loop)
    return rejected(connection).read_all()


def test_a_good_row_is_not_left_out_for_a_bad_one(connection: duckdb.DuckDBPyConnection) -> None:
    same = {"row_id": "1", "text": "Where is my parcel", "text_key": "k"}
    for bad in ({"label": None}, {"label": "cooking"}, {"row_id": None}):
        assert published(connection, LOOP, same | bad, same, same | {"row_id": "2"}) == [2]
        assert duplicates(connection) == 1
        assert quarantined(connection).num_rows == 1


def test_the_first_of_near_duplicates_stays_by_line_whatever_the_order(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    rows = [
        {"text": "Storm over York!", "text_key": "k", "source_line": 3},
        {"text": "storm over York", "text_key": "k", "source_line": 1},
        {"text": "Storm, over York", "text_key": "k", "source_line": 2},
    ]
    assert published(connection, LOOP, *rows) == [1]
    assert duplicates(connection) == 2
    assert published(connection, small_loop(clean={"drop_near_duplicates": False}), *rows) == [1, 2, 3]
    assert duplicates(connection) == 0


def test_texts_that_only_share_their_key_are_no_duplicates(connection: duckdb.DuckDBPyConnection) -> None:
    rows = [{"text": text, "text_key": "write c"} for text in ("I write C", "I write C++", "I write C#")]
    assert published(connection, LOOP, *rows) == [1, 2, 3]
    emoji = [{"text": text} for text in ("👍", "👎", "👍 !")]
    assert published(connection, LOOP, *emoji) == [1, 2]


def test_a_row_delivered_twice_is_a_duplicate_and_two_texts_under_a_key_are_bad(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    rows = [
        {"row_id": "x", "text": "one", "text_key": "one"},
        {"row_id": "x", "text": "One.", "text_key": "one"},
        {"row_id": "y", "text": "two", "text_key": "two"},
        {"row_id": "y", "text": "three", "text_key": "three"},
        {"row_id": "z", "text": "Three!", "text_key": "three"},
    ]
    assert published(connection, LOOP, *rows) == [1, 5], "nor is a row left out for one with a repeated key"
    assert reason_counts(connection) == {"row_id_repeated": 2}
    assert duplicates(connection) == 1
    kept_apart = small_loop(clean={"drop_near_duplicates": False})
    assert published(connection, kept_apart, *rows) == [5]


def test_different_answers_to_one_text_are_counted_and_shown(connection: duckdb.DuckDBPyConnection) -> None:
    rows = [
        {"text": "great", "text_key": "great"},
        {"text": "Great!", "text_key": "great", "label": "sports"},
        {"text": "great 👍", "text_key": "great", "label": "sports"},
        {"text": "fine", "text_key": "fine"},
        {"text": "fine.", "text_key": "fine"},
        {"text": "GREAT", "text_key": "great", "label": "cooking"},
    ]
    assert published(connection, LOOP, *rows) == [1, 3, 4]
    found = conflicts(connection)
    assert (found.texts, found.rows) == (1, 2)
    (shown,) = found.examples
    assert shown.text == "great"
    assert [(one.answer, one.source_line, one.stays) for one in shown.sayings] == [
        ("tech", 1, True),
        ("sports", 2, False),
    ]
    lenient = small_loop(clean={"drop_near_duplicates": False})
    assert published(connection, lenient, *rows) == [1, 2, 3, 4, 5]
    assert conflicts(connection).rows == 2


def test_a_quarantined_row_is_kept_whole_with_all_its_reasons(connection: duckdb.DuckDBPyConnection) -> None:
    text = 'a "quoted"\nline, \\ and 東京'
    give_verdicts(connection, mart_table([{"label": "cooking", "text": text}, {"label": ""}]), small_loop())
    bad = quarantined(connection)
    assert bad.schema == QUARANTINE
    first = bad.to_pylist()[0]
    assert (first["reason"], first["column"], first["stage"]) == ("label_unknown", "label", "validate")
    assert first["detail"] == "label_unknown: expected one of business, sports, tech, found cooking"
    assert (first["source_file"], first["source_line"], first["row_key"]) == ("drop.jsonl", 1, "1")
    assert not first["readmitted"]
    assert first["raw_form"] == "built"
    row = json.loads(first["raw"])
    assert list(row) == MART.names
    assert row["text"] == text
    assert reason_counts(connection) == {"label_unknown": 2}
    assert good_rows(connection).read_all().num_rows == 0


def test_a_quarantined_row_is_kept_as_it_came_with_all_its_columns(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    columns = {"id": "string", "text": "string", "label": "string", "channel": "string", "n": "integer"}
    loop = small_loop(source={**small_loop().source.model_dump(), "columns": columns})
    came = {"id": "1", "text": "line one\r\n\tline two", "label": "cooking", "channel": "mail", "n": 2**60}
    where = {"row_hash": "", "source_line": 1, "source_file": "drop.jsonl", "partition": "2026-11-16"}
    raw = pa.Table.from_pylist([came | where], raw_schema(loop))
    give_verdicts(connection, mart_table([{"label": "cooking"}, {"label": "cooking"}]), loop)
    reject(connection, loop, raw.select(["source_file", "source_line"]).to_reader())
    put_values(connection, loop, raw.to_reader())
    first, second = rejected(connection).read_all().to_pylist()
    assert json.loads(first["raw"]) == came
    assert (first["raw_form"], second["raw_form"]) == ("row", "built")
    assert list(json.loads(second["raw"])) == MART.names, "a model of the loop gave it another line"


def test_a_quarantined_row_is_kept_as_it_stands_in_its_file(connection: duckdb.DuckDBPyConnection) -> None:
    give_verdicts(connection, mart_table([{"label": "cooking"}, {"label": "cooking"}, {}]), LOOP)
    places = pa.table({"source_file": ["drop.jsonl"] * 2, "source_line": [1, 3]})
    reject(connection, LOOP, places.to_reader())
    columns = ([["drop.jsonl"], [line], [7 * line], [f"line {line}"]] for line in (1, 2))
    put_records(connection, (pa.record_batch(one, RECORDS) for one in columns))
    first, second = rejected(connection).read_all().to_pylist()
    assert (first["raw"], first["byte_offset"], first["raw_form"]) == ("line 1", 7, "line")
    assert (second["byte_offset"], second["raw_form"]) == (None, "built"), "ingest knows no row of this line"
    assert list(json.loads(second["raw"])) == MART.names
    assert rejected(connection, 1).read_all().num_rows == 1


def test_rows_in_files_are_judged_as_a_table_is(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    rows: list[dict[str, Any]] = [
        {},
        {"label": None},
        {"row_id": "x"},
        {"row_id": "x", "text": "another"},
        {"text": "TEXT 1!", "text_key": "k1", "label": "sports"},
        {"text": "👍"},
        {"text": "👍 !"},
    ]
    told = []
    table = mart_table(rows)
    for judged in (table, in_files(tmp_path, table)):
        give_verdicts(connection, judged, LOOP)
        told.append((quarantined(connection), conflicts(connection), good_rows(connection).read_all()))
    assert told[0] == told[1]
    bad, found, good = told[0]
    assert (bad.num_rows, found.rows, good["source_line"].to_pylist()) == (3, 2, [1, 6])


def in_files(folder: Path, table: pa.Table) -> RowFiles:
    """`table`, whose rows are of one day, in two files without that."""
    paths = [str(folder / name) for name in ("b.parquet", "a.parquet")]
    for path, part in zip(paths, (table.slice(0, 3), table.slice(3)), strict=True):
        pq.write_table(part.drop_columns(["partition"]), path)
    return RowFiles(tuple(paths), tuple(table.column_names), {"partition": "2026-11-16"})


def test_no_rows_are_no_reasons(connection: duckdb.DuckDBPyConnection) -> None:
    give_verdicts(connection, mart_table([]), small_loop())
    assert quarantined(connection).num_rows == 0
    rows = good_rows(connection).read_all()
    assert (rows.num_rows, rows.schema.names) == (0, MART.names)


def test_a_regular_expression_that_is_none_is_an_error_of_the_loop_file(judged: Judge) -> None:
    loop = loop_with(Matches(kind="matches", column="text", regex="(unclosed"))
    with pytest.raises(ConfigurationError, match="missing \\)"):
        judged(loop, [{}])


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_values_are_values(judged: Judge, value: str) -> None:
    loop = loop_with(
        OneOf(kind="one_of", column="row_id", values=(value,)), labels=(value, "other"), min_characters=1
    )
    rows = [{"row_id": value, "label": value, "text": value}, {"row_id": f"{value}.", "label": f"{value}."}]
    assert judged(loop, rows) == {"2": ["label_unknown", "row_id_unknown"]}


@given(text=st.text(max_size=40), known=st.text(min_size=1, max_size=40))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_label_is_compared_as_it_is(judged: Judge, text: str, known: str) -> None:
    bad = judged(loop_with(labels=(known, known + "2")), [{"label": text}])
    assert bad == ({} if text in (known, known + "2") else {"1": ["label_unknown"]})
