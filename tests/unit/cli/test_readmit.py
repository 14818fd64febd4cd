"""readmit, and the labels that quarantine lists."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.command import DAY, LOOP, Run
from tests.support.quick_stages import quick


@pytest.fixture(autouse=True)
def _quick(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch, project / "dbt")


def put(project: Path, *rows: dict[str, str]) -> None:
    lines = [json.dumps(row) for row in rows]
    (project / f"data/{DAY}.jsonl").write_text("".join(f"{line}\n" for line in lines))


def run_day(run: Run) -> None:
    for stage in ("ingest", "transform", "validate"):
        assert run(stage, "tickets", "--partition", DAY).code == 0


def test_a_mended_rule_lets_rows_in_and_says_how_many_stay(run: Run, project: Path) -> None:
    file = project / "loops/tickets/loop.yaml"
    file.write_text(LOOP.replace("  key: id\n", "  key: id\n  undeclared: refuse\n"))
    put(
        project,
        {"id": "1", "text": "one", "team": "billing"},
        {"id": "2", "text": "two", "team": "technical", "more": "x"},
        {"id": "3", "text": "three", "team": "sales", "more": "x"},
    )
    run_day(run)
    assert "Nothing comes in by the loop file as it is" in run("readmit", "tickets").out
    file.write_text(LOOP)
    foreseen = run("readmit", "tickets", "--dry-run")
    assert foreseen.code == 0
    (row,) = [line.split() for line in foreseen.out.splitlines() if line.startswith("ingest")]
    assert row == ["ingest", "extra_field", "more", "1", "2", "1", "1", "label_unknown", "1"]
    assert f"to be done anew: {DAY}" in foreseen.out
    done = json.loads(run("readmit", "tickets", "--json").out)
    assert done == [
        {
            "day": DAY,
            "done": True,
            "note": "",
            "reasons": [
                {
                    "stage": "ingest", "reason": "extra_field", "column": "more", "rows": 2, "come_in": 1,
                    "stay": {"label_unknown": 1},
                }
            ],
        }
    ]  # fmt: skip
    listed = run("quarantine", "tickets", "--unknown").out
    assert [line.split()[:3] for line in listed.splitlines() if line.startswith("sales")] == [
        ["sales", "1", "1"]
    ]
    file.write_text(LOOP.replace("technical]", "technical, sales]"))
    assert "known now" in run("quarantine", "tickets", "--unknown").out
    assert "1 row(s) came in" in run("readmit", "tickets").out
    assert run("quarantine", "tickets").out == "Nothing is in quarantine.\n"
    assert json.loads(run("quarantine", "tickets", "--unknown", "--json").out) == []


def test_a_day_that_fails_tells_it_and_ends_so(
    run: Run, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lakeloop.errors import DataError
    from lakeloop.stages.data import validate as validating

    put(project, {"id": "1", "text": "one", "team": "billing"}, {"id": "2", "text": "two", "team": "sales"})
    run_day(run)
    (project / "loops/tickets/loop.yaml").write_text(LOOP.replace("technical]", "technical, sales]"))

    def stopped(*_: object) -> None:
        raise DataError("a check failed")

    monkeypatch.setattr(validating, "validate", stopped)
    ended = run("readmit", "tickets")
    assert ended.code == 65
    assert "the day stays as it was: a check failed" in ended.out


def test_edited_rows_are_taken_back_by_command(run: Run, project: Path) -> None:
    put(project, {"id": "1", "text": "one", "team": "billing"}, {"id": "2", "text": "two", "team": "sales"})
    run_day(run)
    file = project / "rows.jsonl"
    ended = run("quarantine", "tickets", "--reason", "label_unknown", "--edit", str(file))
    assert "1 row(s) written" in ended.err
    assert run("readmit", "tickets", "--edited", str(file)).code == 64, "a reason is kept with each change"
    command = ("readmit", "tickets", "--edited", str(file), "--why", "she said so")
    assert "1 left as they were" in run(*command).err
    row = json.loads(file.read_text())
    file.write_text(json.dumps(row | {"team": "marketing"}))
    ended = run(*command)
    assert ended.code == 65
    assert f"{DAY}, data/{DAY}.jsonl, line 2" in ended.out
    assert "label_unknown: expected one of billing, technical, found marketing" in ended.out
    file.write_text(json.dumps(row | {"team": "technical"}))
    assert "1 row(s) to take in" in run(*command, "--dry-run").err
    assert "Nothing is in quarantine." not in run("quarantine", "tickets").out
    assert "1 row(s) came in" in run(*command).out
    assert run("quarantine", "tickets").out == "Nothing is in quarantine.\n"
    assert "1 taken in before" in run(*command).err
