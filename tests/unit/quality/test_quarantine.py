"""Looking into the quarantine of a real lake: counts, rows, filters and copies agree."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from lakeloop.errors import ConfigurationError
from lakeloop.lake.store import Lake
from lakeloop.lake.tables import QUARANTINE
from lakeloop.quality.quarantine import SetAside, Wanted, causes, export, reasons, rows
from tests.support.small_loop import small_context

DAY, NEXT_DAY = "2026-11-16", "2026-11-17"
HOSTILE = "a \"quoted\", 'text'\nwith \u2028 and \x1b[31m"


def bad(line: int, reason: str, column: str | None, **values: Any) -> dict[str, Any]:
    return {
        "reason": reason, "detail": f"{column}: expected better", "column": column, "readmitted": False,
        "source_file": "drop.jsonl", "source_line": line, "byte_offset": line * 100, "raw": f"raw {line}",
        "row_key": None, "raw_form": "line", **values,
    }  # fmt: skip


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    context = small_context(tmp_path)
    put(context.lake, context.attempt, DAY, "ingest", [
        bad(9, "wrong_type", "created_at"), bad(2, "wrong_type", "created_at", raw=HOSTILE),
        bad(3, "broken_json", None), bad(5, "wrong_type", "n"),
    ])  # fmt: skip
    put(context.lake, context.attempt, DAY, "validate", [bad(7, "label_unknown", "label")])
    put(context.lake, context.attempt, NEXT_DAY, "ingest", [bad(1, "broken_json", None)])
    return context.lake


def put(lake: Lake, attempt: Any, day: str, stage: str, found: list[dict[str, Any]]) -> None:
    table = pa.Table.from_pylist([{**row, "partition": day, "stage": stage} for row in found], QUARANTINE)
    fence = lake.claim(stage, day, attempt)
    lake.replace("quarantine", table, where={"partition": day, "stage": stage}, fence=fence)


def test_rows_are_counted_by_day_stage_reason_and_column(lake: Lake) -> None:
    found = reasons(lake, Wanted())
    assert [(one.partition, one.stage, one.reason, one.column, one.rows) for one in found] == [
        (NEXT_DAY, "ingest", "broken_json", None, 1),
        (DAY, "ingest", "wrong_type", "created_at", 2),
        (DAY, "ingest", "broken_json", None, 1),
        (DAY, "ingest", "wrong_type", "n", 1),
        (DAY, "validate", "label_unknown", "label", 1),
    ]
    assert (found[1].first_line, found[1].first_detail) == (2, "created_at: expected better")


@pytest.mark.parametrize(
    ("wanted", "lines"),
    [
        (Wanted(), [1, 2, 3, 5, 9, 7]),
        (Wanted(partition=DAY), [2, 3, 5, 9, 7]),
        (Wanted(stage="validate"), [7]),
        (Wanted(reason="wrong_type"), [2, 5, 9]),
        (Wanted(reason="wrong_type", column="n"), [5]),
        (Wanted(column=""), [1, 3]),
        (Wanted(partition="' or true --"), []),
        (Wanted(column="' or true --"), []),
    ],
)
def test_filters_choose_rows_and_counts_alike(lake: Lake, wanted: Wanted, lines: list[int]) -> None:
    assert [row.source_line for row in rows(lake, wanted, limit=100)] == lines
    assert sum(one.rows for one in reasons(lake, wanted)) == len(lines)


def test_pages_follow_each_other(lake: Lake) -> None:
    pages = [rows(lake, Wanted(), limit=2, offset=offset) for offset in (0, 2, 4, 6)]
    assert [[row.source_line for row in page] for page in pages] == [[1, 2], [3, 5], [9, 7], []]


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_a_copy_has_the_rows_whole(lake: Lake, tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"it's.{ending}"
    assert export(lake, Wanted(reason="wrong_type"), file) == 3
    if ending == "jsonl":
        found = [json.loads(line) for line in file.read_text().split("\n") if line]
    elif ending == "csv":
        with file.open(newline="") as opened:
            found = list(csv.DictReader(opened))
    else:
        found = pq.read_table(file).to_pylist()
    assert [row["raw"] for row in found] == [HOSTILE, "raw 5", "raw 9"]
    assert list(found[0]) == QUARANTINE.names
    assert sorted(path.name for path in tmp_path.glob("*it*")) == [file.name]


def test_a_copy_to_nowhere_says_what_is_possible(lake: Lake, tmp_path: Path) -> None:
    for file in (tmp_path / "rows.xlsx", tmp_path / "no/rows.csv"):
        with pytest.raises(ConfigurationError, match="cannot write there") as caught:
            export(lake, Wanted(), file)
        assert ".jsonl, .csv, .parquet" in caught.value.expected


def test_the_cause_of_a_bad_day_names_reason_column_line_and_value(lake: Lake) -> None:
    ingest, validate = causes(reasons(lake, Wanted(partition=DAY)), 1424)
    assert ingest == (
        "4 of 1424 lines were quarantined by ingest: "
        "wrong_type in created_at (2), e.g. line 2: created_at: expected better; "
        "broken_json (1), e.g. line 3: None: expected better; "
        "wrong_type in n (1), e.g. line 5: n: expected better"
    )
    assert validate.startswith("1 of 1424 lines were quarantined by validate: label_unknown in label (1)")
    assert causes([], 1424) == []


def test_a_cause_has_no_control_characters_and_stops_somewhere() -> None:
    one = SetAside(
        partition=DAY, stage="ingest", reason="wrong_type", column="\x1b[2J", rows=1, first_line=1,
        first_detail="\x1b]0;title\x07" + "x" * 5000,
    )  # fmt: skip
    (words,) = causes([one] * 5, 5)
    assert words.isprintable()
    assert len(words) < 1000
    assert words.endswith("; 2 more kinds")


def test_a_table_of_an_earlier_version_is_read_as_it_is(tmp_path: Path) -> None:
    before = pa.schema([field for field in QUARANTINE if field.name != "raw_form"])
    row = {"partition": DAY, "stage": "ingest", **bad(1, "broken_json", None)}
    lake = Lake(str(tmp_path), "old")
    write_deltalake(
        lake.uri("quarantine"), pa.Table.from_pylist([row], before), partition_by=["partition", "stage"]
    )
    (found,) = rows(lake, Wanted(partition=DAY), limit=5)
    assert (found.raw, found.raw_form, found.form) == ("raw 1", None, "")
    assert export(lake, Wanted(), tmp_path / "old.parquet") == 1
