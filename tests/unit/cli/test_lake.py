"""reset, evolve."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lakeloop.lake.store import Lake
from lakeloop.settings import Settings
from lakeloop.stages.frame.session import StageContext
from lakeloop.tracking.journal import read_journal
from tests.support.command import DAY, Run

NEXT = "2026-11-21"
TABLES = ("raw", "quarantine", "staging", "mart")


@pytest.fixture
def two_days(run: Run, project: Path) -> Path:
    """A project whose loop ingested two days, three rows and a quarantined line each."""
    (project / f"data/{NEXT}.jsonl").write_bytes((project / f"data/{DAY}.jsonl").read_bytes())
    for day in (DAY, NEXT):
        assert run("ingest", "tickets", "--partition", day).code == 0
    return project


def lake_of(project: Path) -> Lake:
    return Lake(Settings(root=project).lake, "tickets")


def ingest_status(run: Run) -> tuple[list[str], list[tuple[str, str]]]:
    """The days that are in the lake, and the stages that are due with their days."""
    (status,) = json.loads(run("status", "tickets", "--json").out)
    days = [day["partition"] for day in status["partitions"]]
    return days, [(work["stage"], work["partition"]) for work in status["pending"]]


def told(project: Path, command: str, days: str) -> dict[str, Any]:
    """What the newest run of `command` told the tracker, by the kind of entry."""
    journals = (project / ".lakeloop/journals/tickets" / command / days).glob("*.jsonl")
    newest = max(journals, key=lambda path: path.stat().st_mtime_ns)
    return {entry.kind: entry.data for entry in read_journal(newest)}


def write_drop(project: Path, rows: list[dict[str, Any]], day: str = DAY) -> None:
    (project / f"data/{day}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def retype(project: Path, **columns: Any) -> None:
    """Give columns of the loop file another type."""
    file = project / "loops/tickets/loop.yaml"
    text = file.read_text()
    for name, kind in columns.items():
        text = text.replace(f"{name}: string", f"{name}: {kind}")
    file.write_text(text)


def test_a_reset_day_is_gone_and_due_again_and_the_other_day_is_as_it_was(run: Run, two_days: Path) -> None:
    lake = lake_of(two_days)
    before = {table: lake.digest(table, partition=NEXT) for table in TABLES}
    ended = run("reset", "tickets", "--partition", DAY, "--yes")
    assert ended.code == 0, ended.err
    assert [lake.read(table, partition=DAY).num_rows for table in TABLES] == [0, 0, 0, 0]
    assert {table: lake.digest(table, partition=NEXT) for table in TABLES} == before
    assert ingest_status(run) == ([NEXT], [("ingest", DAY), ("transform", NEXT)])
    assert json.loads(run("ingest", "tickets", "--partition", DAY, "--json").out)["status"] == "done"
    assert ingest_status(run)[0] == [DAY, NEXT]


def test_the_tracker_is_told_of_a_reset(run: Run, two_days: Path) -> None:
    run("reset", "tickets", "--partition", DAY, "--partition", NEXT, "--yes")
    entries = told(two_days, "reset", f"{DAY}_{NEXT}")
    assert entries["config"]["days"] == [DAY, NEXT]
    assert ["raw", DAY, 3] in entries["table"]["rows"]
    assert entries["summary"]["reason"] == "8 rows of 2 day(s) were cleared"
    assert (entries["summary"]["rows/raw"], entries["close"]["exit_code"]) == (6, 0)
    assert run("ingest", "tickets", "--partition", DAY).code == 0
    run("reset", "tickets", "--partition", DAY, "--yes")
    assert told(two_days, "reset", DAY)["summary"]["rows/quarantine"] == 1


def test_a_reset_says_what_goes_and_does_nothing_when_nobody_can_be_asked(run: Run, two_days: Path) -> None:
    lake = lake_of(two_days)
    before = {table: lake.version(table) for table in (*TABLES, "ledger", "claims")}
    ended = run("reset", "tickets", "--all")
    assert ended.code == 64
    assert "nothing was changed: there is no terminal to ask at" in ended.err
    assert "--yes" in ended.err
    assert [line.split() for line in ended.out.splitlines() if line.startswith(TABLES)] == [
        ["mart", "0", "0"],
        ["staging", "0", "0"],
        ["raw", "2", "6"],
        ["quarantine", "2", "2"],
    ]
    assert "models and their history" in ended.out
    assert f"lakeloop run tickets --from {DAY} --to {NEXT}" in ended.out
    assert {table: lake.version(table) for table in before} == before


def test_a_day_whose_drop_is_gone_is_named_before_it_is_cleared(run: Run, two_days: Path) -> None:
    (two_days / f"data/{NEXT}.jsonl").unlink()
    ended = run("reset", "tickets", "--partition", DAY, "--partition", NEXT)
    assert f"warning: no drop can be found now for {NEXT}: without one" in ended.out


def test_the_ledger_keeps_what_was_before_a_reset(run: Run, two_days: Path) -> None:
    entries = lake_of(two_days).read("ledger").num_rows
    run("reset", "tickets", "--all", "--yes")
    assert lake_of(two_days).read("ledger").num_rows == entries + 2
    (reset,) = lake_of(two_days).ledger.entries("ingest", DAY)
    assert (reset.status, reset.reason) == (
        "reset",
        f"the tables were emptied by a reset: ingest of {DAY} is to be done again",
    )


def test_after_a_reset_of_all_days_columns_may_have_other_types(run: Run, two_days: Path) -> None:
    retype(two_days, id="integer")
    write_drop(two_days, [{"id": n, "text": f"text {n}", "team": "billing"} for n in range(3)])
    locked = run("ingest", "tickets", "--partition", DAY)
    assert locked.code == 64
    assert "lakeloop reset tickets --all" in locked.err
    assert run("reset", "tickets", "--all", "--yes").code == 0
    assert ingest_status(run) == ([], [("ingest", DAY), ("ingest", NEXT)])
    assert run("ingest", "tickets", "--partition", DAY).code == 0
    raw = StageContext.open("tickets", Settings(root=two_days)).lake.read("raw")
    assert raw["id"].to_pylist() == [0, 1, 2]


@pytest.mark.parametrize("days", [(), ("--all", "--partition", DAY), ("--partition", "monday")])
def test_a_reset_is_told_which_days(run: Run, days: tuple[str, ...]) -> None:
    assert run("reset", "tickets", *days, "--yes").code == 64


def test_a_day_that_never_was_there_is_nothing_to_reset(run: Run, two_days: Path) -> None:
    version = lake_of(two_days).version("raw")
    ended = run("reset", "tickets", "--partition", "2026-01-01", "--yes")
    assert (ended.code, ended.out) == (0, "nothing of 2026-01-01 is in the lake of tickets\n")
    assert lake_of(two_days).version("raw") == version


def test_evolve_carries_rows_over_to_other_types_and_the_day_is_due_where_its_content_changed(
    run: Run, two_days: Path
) -> None:
    lake, file = lake_of(two_days), two_days / "loops/tickets/loop.yaml"
    file.write_text(file.read_text().replace("team: string}", "team: string, size: number}"))
    write_drop(two_days, [{"id": "7", "text": "a text", "team": "billing", "size": 1.0}])
    assert run("ingest", "tickets", "--partition", DAY).code == 0
    before = lake.digest("raw", partition=NEXT)
    file.write_text(file.read_text().replace("size: number", "size: integer"))
    assert "lakeloop evolve tickets" in run("ingest", "tickets", "--partition", DAY).err
    asked = run("evolve", "tickets")
    assert asked.code == 64
    assert "retyped  size: number -> integer, 1 of 1 values fit" in asked.out
    ended = run("evolve", "tickets", "--yes")
    assert ended.code == 0, ended.err
    assert f"  lakeloop run tickets --from {DAY} --to {DAY}\n" in ended.out
    assert lake.read("raw", partition=DAY)["size"].to_pylist() == [1]
    assert lake.digest("raw", partition=NEXT) == before
    record = lake.ledger.latest("ingest", DAY)
    assert record is not None
    assert record.outputs["raw"] == lake.digest("raw", partition=DAY)
    assert record.reason.startswith("the rows of before, with columns of other types: 1 record(s)")
    entries = told(two_days, "evolve", "all")
    assert entries["table"]["rows"] == [["size", "retyped", "number", "integer"]]
    assert entries["summary"]["reason"] == "1 column(s) changed, 1 day(s) are to be built again"
    assert (entries["summary"]["due"], entries["summary"]["rows/carried_over"]) == ([DAY], 4)
    version = lake.version("raw")
    assert run("evolve", "tickets", "--yes").code == 0
    assert (lake.version("raw"), len(lake.ledger.entries("ingest"))) == (version, 4), "nothing is left to do"
    # What is due is found, and a day that is read again is made from its drop.
    assert ingest_status(run)[1] == [("transform", DAY), ("transform", NEXT)]
    assert json.loads(run("ingest", "tickets", "--partition", DAY, "--json").out)["status"] == "done"


def test_evolve_refuses_values_that_do_not_fit_and_names_them(run: Run, two_days: Path) -> None:
    lake = lake_of(two_days)
    write_drop(two_days, [{"id": "x\x1b1", "text": "a text", "team": "billing"}])
    run("ingest", "tickets", "--partition", DAY)
    version = lake.version("raw")
    retype(two_days, id="integer")
    ended = run("evolve", "tickets", "--yes")
    assert ended.code == 65
    assert "1 value(s) do not fit" in ended.err
    assert f"id of {DAY}, data/{DAY}.jsonl line 1: x\\x1b1" in ended.err
    assert "\x1b1" not in ended.err
    assert lake.version("raw") == version


def test_evolve_names_columns_that_come_and_go_by_themselves_and_asks_nothing(
    run: Run, two_days: Path
) -> None:
    file = two_days / "loops/tickets/loop.yaml"
    text = file.read_text()
    file.write_text(text.replace("team: string}", "team: string, size: number}"))
    ended = run("evolve", "tickets")
    assert (ended.code, "added    size: null in the rows of before" in ended.out) == (0, True)
    file.write_text(text)
    assert "dropped  size: stays for the rows of before" in run("evolve", "tickets").out


def test_an_evolve_that_was_killed_after_its_commit_tells_the_ledger_the_next_time(
    run: Run, two_days: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lakeloop.stages.frame import evolve

    file = two_days / "loops/tickets/loop.yaml"
    file.write_text(file.read_text().replace("team: string}", "team: string, size: number}"))
    write_drop(two_days, [{"id": "7", "text": "a text", "team": "billing", "size": 1.0}])
    run("ingest", "tickets", "--partition", DAY)
    file.write_text(file.read_text().replace("size: number", "size: integer"))
    with monkeypatch.context() as patch:
        patch.setattr(evolve, "_tell_the_ledger", lambda _: [])
        assert run("evolve", "tickets", "--yes").code == 0
    lake = lake_of(two_days)
    digest = lake.digest("raw", partition=DAY)
    stale = lake.ledger.latest("ingest", DAY)
    assert stale is not None
    assert stale.outputs["raw"] != digest
    assert "1 day(s) are to be built again" in run("evolve", "tickets").out
    told = lake.ledger.latest("ingest", DAY)
    assert told is not None
    assert told.outputs["raw"] == digest
