"""Rows of the quarantine that people edit: what they are given, and what becomes of what they give back."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from lakeloop.errors import ConfigurationError
from lakeloop.lake.corrections import corrections_of
from lakeloop.quality.quarantine import Wanted
from lakeloop.stages.frame.edit_files import read_edits
from lakeloop.stages.frame.edited import Edits, look_at_edits, write_to_edit
from lakeloop.stages.frame.pending import work_left
from lakeloop.stages.frame.readmit import correct
from lakeloop.stages.frame.session import StageContext
from lakeloop.stages.frame.status import loop_status
from tests.support.examples import examples
from tests.support.quick_stages import quick
from tests.support.small_loop import small_loop
from tests.unit.stages.frame.test_readmit import DAY, counts, ids, line, nothing, opened, put, run_day

BROKEN = '{"id": "c", "te'
DATED = {
    "kind": "files",
    "path": "drops/{partition}.csv",
    "format": "csv",
    "key": "id",
    "columns": {
        "id": "string",
        "text": "string",
        "label": "string",
        "at": {"type": "timestamp", "format": "%d/%m/%Y %H:%M", "zone": "Europe/Berlin"},
        "n": "integer",
    },
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    quick(monkeypatch, tmp_path / "dbt")
    return tmp_path


def exported(context: StageContext, folder: Path) -> list[dict[str, Any]]:
    write_to_edit(context, Wanted(), folder / "rows.jsonl")
    return [json.loads(each) for each in (folder / "rows.jsonl").read_text().splitlines()]


def taken(context: StageContext, folder: Path, rows: list[dict[str, Any]]) -> Edits:
    (folder / "edited.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return look_at_edits(context, read_edits(context, folder / "edited.jsonl"), "typing", "ann")


def test_edited_rows_come_in_and_stay_in_whatever_is_run_again(folder: Path) -> None:
    put(folder, line("a"), line("b", "cooking"), BROKEN, line("d", "gardening"))
    context = opened(folder)
    run_day(context)
    rows = {row["quarantine.line"]: row for row in exported(context, folder)}
    assert {number: row["label"] for number, row in rows.items()} == {2: "cooking", 3: None, 4: "gardening"}
    assert rows[3]["quarantine.record"] == BROKEN
    rows[2] |= {"label": "tech"}
    rows[3] |= {"id": "c", "text": "story c", "label": "sports"}
    edits = taken(context, folder, list(rows.values()))
    assert (len(edits.corrections), edits.untouched, edits.problems) == (2, 1, [])
    done = correct(context, edits.corrections, nothing)
    assert counts(done) == {(DAY, "label_unknown"): (1, 1, {}), (DAY, "broken_json"): (1, 1, {})}
    assert ids(context) == ["a", "b", "c"]
    (day,) = loop_status(context).partitions
    assert (day.read, day.accepted, day.quarantined, day.reconciled) == (4, 3, 1, True)
    assert "2 as they were corrected" in context.lake.ledger.latest("ingest", DAY).reason  # type: ignore[union-attr]
    kept = corrections_of(context.lake, DAY)
    assert [(one.stage, one.why, one.corrected_by) for one in kept] == [
        ("validate", "typing", "ann"),
        ("ingest", "typing", "ann"),
    ]
    again = taken(context, folder, list(rows.values()))
    assert (again.corrections, again.known, again.untouched, again.problems) == ([], 2, 1, [])
    put(folder, line("a"), line("b", "cooking"), BROKEN, line("d", "gardening"), line("e"))
    run_day(context)
    assert ids(context) == ["a", "b", "c", "e"], "another delivery with the same records at their places"
    put(folder, line("a"), line("x", "cooking"), BROKEN)
    run_day(context)
    assert ids(context) == ["a", "c"], "what another delivery has at the line is not that record"
    ended = context.lake.ledger.latest("ingest", DAY)
    assert ended is not None
    assert "1 correction(s) of records that are not there any more" in ended.reason


def test_a_correction_makes_its_day_due(folder: Path) -> None:
    put(folder, line("a"), line("b", "cooking"))
    context = opened(folder)
    run_day(context)
    from lakeloop.lake.corrections import correct as keep

    (row,) = exported(context, folder)
    edits = taken(context, folder, [row | {"label": "tech"}])
    assert keep(context.lake, edits.corrections, context.attempt) == edits.corrections
    assert keep(context.lake, edits.corrections, context.attempt) == []
    (step,) = [step for step in work_left(context) if step.partition == DAY]
    assert (step.stage, step.reason) == (
        "ingest",
        f"1 row(s) of {DAY} were corrected since it was ingested",
    )
    run_day(context)
    assert [step for step in work_left(context) if step.partition == DAY] == []
    assert ids(context) == ["a", "b"]


def test_rows_that_would_be_refused_again_are_all_told_and_nothing_is_kept(folder: Path) -> None:
    put(folder, line("a"), line("b", "cooking"), BROKEN, line("d", "x"), line("e", ""))
    context = opened(folder)
    run_day(context)
    rows = exported(context, folder)
    by_line = {row["quarantine.line"]: row for row in rows}
    by_line[2]["label"] = "baking"
    by_line[3] |= {"id": None, "text": "no key", "label": "tech"}
    by_line[4]["text"] = 5
    by_line[5]["label"] = "tech"
    elsewhere = {**by_line[2], "quarantine.line": 77}
    edits = taken(context, folder, [*rows, elsewhere])
    assert [(one.at, one.reason.partition(":")[0]) for one in edits.problems] == sorted(
        [
            (1 + rows.index(by_line[2]), "label_unknown"),
            (1 + rows.index(by_line[3]), "null_key"),
            (1 + rows.index(by_line[4]), "label_unknown"),
            (5, "is not in quarantine (any more)"),
        ]
    )
    assert len(edits.corrections) == 1
    assert corrections_of(context.lake, DAY) == []


def test_a_row_that_would_stop_its_day_is_refused_when_it_is_edited(folder: Path) -> None:
    put(folder, line("a"), line("b", "cooking"), BROKEN)
    context = opened(folder, checks={"task_severity": "batch"})
    run_day(context)
    (row,) = exported(context, folder)
    edits = taken(context, folder, [row | {"id": "c", "text": "story c", "label": "baking"}])
    assert [(one.at, one.reason.partition(":")[0]) for one in edits.problems] == [(1, "label_unknown")]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labl": "tech"}, "is it label?"),
        ({"quarantine.line": "two"}, "means nothing"),
        ({"quarantine.day": ""}, "which row it is"),
        ({"quarantine.discard": "perhaps"}, "means nothing"),
    ],
)
def test_a_file_that_cannot_be_understood_is_refused(
    folder: Path, change: dict[str, Any], message: str
) -> None:
    put(folder, line("a"), line("b", "cooking"))
    context = opened(folder)
    run_day(context)
    (row,) = exported(context, folder)
    with pytest.raises(ConfigurationError, match=message):
        taken(context, folder, [row | change])


def test_a_discarded_row_stays_out_and_is_counted(folder: Path) -> None:
    put(folder, line("a"), line("b", "cooking"), BROKEN, "")
    context = opened(folder)
    run_day(context)
    rows = [row | {"quarantine.discard": True} for row in exported(context, folder)]
    done = correct(context, taken(context, folder, rows).corrections, nothing)
    assert {reason: stay for (_, reason), (_, _, stay) in counts(done).items()} == {
        "label_unknown": {"discarded": 1},
        "broken_json": {"discarded": 1},
        "blank_line": {"discarded": 1},
    }
    there = context.lake.read("quarantine", partition=DAY).to_pylist()
    assert {(row["reason"], row["readmitted"]) for row in there} == {("discarded", True)}
    assert (
        f"left out by ann on {corrections_of(context.lake, DAY)[0].corrected_at:%Y-%m-%d}: typing"
        in (there[0]["detail"])
    )
    (day,) = loop_status(context).partitions
    assert (day.read, day.accepted, day.quarantined, day.reconciled) == (4, 1, 3, True)


def test_a_row_can_be_corrected_again_and_the_newest_counts(folder: Path) -> None:
    put(folder, line("a"), line("b", "cooking"))
    context = opened(folder, task={"text": "text", "label": "label", "labels": ["tech", "cooking2"]})
    run_day(context)
    (row,) = exported(context, folder)
    correct(context, taken(context, folder, [row | {"label": "cooking2"}]).corrections, nothing)
    assert ids(context) == ["a", "b"]
    context = opened(folder)  # the label is not known any more: what was corrected is refused again
    run_day(context)
    (row,) = exported(context, folder)
    assert row["label"] == "cooking2"
    (stored,) = context.lake.read("quarantine", partition=DAY).to_pylist()
    assert (stored["readmitted"], stored["raw_form"]) == (True, "row"), "it is not what was delivered"
    correct(context, taken(context, folder, [row | {"label": "sports"}]).corrections, nothing)
    assert context.lake.read("mart", partition=DAY)["label"].to_pylist() == ["tech", "sports"]
    assert context.lake.read("corrections").num_rows == 2
    (counted,) = corrections_of(context.lake, DAY)
    assert json.loads(counted.before)["label"] == "cooking", "what is corrected is what was delivered"


def test_a_csv_is_edited_by_its_columns_in_its_own_forms(folder: Path) -> None:
    (folder / "drops").mkdir()
    (folder / f"drops/{DAY}.csv").write_text(
        "n,id,text,label,at\n1,a,one,tech,03/04/2026 08:30\nx,b,two,tech,05/06/2026 10:00\n"
        "3,c,three,cooking,07/08/2026 09:15\n4,d,four,tech,9/9\n"
    )
    context = opened(folder, source=DATED)
    run_day(context)
    write_to_edit(context, Wanted(), folder / "rows.csv")
    with (folder / "rows.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["id"]: (row["n"], row["at"]) for row in rows} == {
        "b": ("x", "05/06/2026 10:00"),
        "c": ("3", "2026-08-07T07:15:00Z"),
        "d": ("4", "9/9"),
    }
    change = {"b": {"n": "2"}, "c": {"label": "sports"}, "d": {"at": "09/09/2026 11:00", "n": ""}}
    with (folder / "edited.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows({**row, **change[row["id"]]} for row in rows)
    edits = look_at_edits(context, read_edits(context, folder / "edited.csv"), "typing", "")
    assert edits.problems == []
    correct(context, edits.corrections, nothing)
    raw = {row["id"]: row for row in context.lake.read("raw", partition=DAY).to_pylist()}
    assert {key: row["n"] for key, row in raw.items()} == {"a": 1, "b": 2, "c": 3, "d": None}
    assert {key: f"{row['at']:%d.%m. %H:%M}" for key, row in raw.items()} == {
        "a": "03.04. 06:30",
        "b": "05.06. 08:00",
        "c": "07.08. 07:15",
        "d": "09.09. 09:00",
    }
    again = look_at_edits(context, read_edits(context, folder / "edited.csv"), "typing", "")
    assert (again.known, again.corrections, again.problems) == (3, [], [])


def test_a_row_of_a_drop_that_is_gone_is_corrected_in_what_the_lake_has(folder: Path) -> None:
    put(folder, line("a"), line("a"), BROKEN, line("d", "cooking"), "broken")
    context = opened(folder)
    run_day(context)
    (folder / f"drops/{DAY}.jsonl").unlink()
    rows = {row["quarantine.line"]: row for row in exported(context, folder)}
    changes = {3: {"id": "c", "text": "story c", "label": "tech"}, 4: {"label": "sports"}}
    edits = taken(context, folder, [rows[number] | change for number, change in changes.items()])
    correct(context, edits.corrections, nothing)
    assert ids(context) == ["a", "c", "d"]
    (day,) = loop_status(context).partitions
    assert (day.read, day.accepted, day.quarantined, day.duplicates, day.reconciled) == (5, 3, 1, 1, True)
    assert [step for step in work_left(context) if step.partition == DAY] == []
    mart = context.lake.digest("mart", partition=DAY)
    run_day(context)
    assert context.lake.ledger.latest("ingest", DAY).inputs["kept"] == "in the lake"  # type: ignore[union-attr]
    put(folder, line("a"), line("a"), BROKEN, line("d", "cooking"), "broken")
    run_day(context)
    assert context.lake.digest("mart", partition=DAY) == mart, "as from the drop, when it is back"
    assert "kept" not in context.lake.ledger.latest("ingest", DAY).inputs  # type: ignore[union-attr]


def test_a_run_that_was_killed_between_its_tables_loses_no_row_of_a_drop_that_is_gone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(folder, line("a"), BROKEN, "broken")
    context = opened(folder)
    run_day(context)
    (folder / f"drops/{DAY}.jsonl").unlink()
    rows = {row["quarantine.line"]: row for row in exported(context, folder)}
    edits = taken(context, folder, [rows[2] | {"id": "c", "text": "story c", "label": "tech"}])

    class KilledError(BaseException):
        pass

    def killed(point: str) -> None:
        if point == "ingest.before-commit":
            raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr("lakeloop.stages.data.ingest.reach", killed)
        with pytest.raises(KilledError):
            correct(context, edits.corrections, nothing)
    assert context.lake.read("quarantine", partition=DAY).num_rows == 1
    assert ids(context) == ["a"], "the day is what it was"
    run_day(context)
    assert ids(context) == ["a", "c"]
    (day,) = loop_status(context).partitions
    assert (day.read, day.accepted, day.quarantined, day.reconciled) == (3, 2, 1, True)


@pytest.mark.slow
@examples(3, deep=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(["label", "broken", "mend", "redeliver", "again"]))
def test_any_order_of_correcting_mending_and_redelivering_ends_in_the_same_tables(
    folder: Path, order: list[str]
) -> None:
    """Each thing is done by somebody at some time, and the day is done anew after it."""
    home = folder / "-".join(order)
    (home / "dbt").mkdir(parents=True, exist_ok=True)
    (home / "dbt/dbt_project.yml").touch()
    strict = {**small_loop().source.model_dump(exclude_none=True), "undeclared": "refuse"}
    lines = [line("a"), line("b", "cooking"), line("x", more=1), BROKEN, line("d", "gardening")]
    changes = {"label": (2, {"label": "tech"}), "broken": (4, {"id": "c", "text": "c", "label": "sports"})}
    sections: dict[str, Any] = {"source": strict}
    put(home, *lines)
    run_day(opened(home, **sections))
    for step in order:
        if step == "mend":
            sections = {}
        elif step == "redeliver":
            put(home, *lines, line("e"))
        elif step in changes:
            number, change = changes[step]
            context = opened(home, **sections)
            rows = {row["quarantine.line"]: row for row in exported(context, home)}
            correct(context, taken(context, home, [rows[number] | change]).corrections, nothing)
        run_day(opened(home, **sections))
    context = opened(home)
    assert ids(context) == ["a", "b", "c", "e", "x"]
    tables = {table: context.lake.digest(table, partition=DAY) for table in ("raw", "quarantine", "mart")}
    assert _FIRST.setdefault("tables", tables) == tables
    (day,) = loop_status(context).partitions
    assert (day.read, day.accepted, day.quarantined, day.reconciled) == (6, 5, 1, True)


_FIRST: dict[str, dict[str, str]] = {}
"""The tables of the first order that was tried."""
