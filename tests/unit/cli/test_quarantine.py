"""quarantine."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.command import DAY, Run


def test_what_was_set_aside_is_counted_by_reason(run: Run) -> None:
    run("ingest", "tickets", "--partition", DAY)
    ended = run("quarantine", "tickets")
    assert ended.code == 0
    row = next(line.split() for line in ended.out.splitlines() if line.startswith(DAY))
    assert row[:4] == [DAY, "ingest", "broken_json", "1"]
    assert "line 4: " in ended.out
    assert '{"id": "3"' not in ended.out


def test_a_row_is_shown_whole_with_its_place_and_no_escape_sequence(run: Run, project: Path) -> None:
    (project / f"data/{DAY}.jsonl").write_text('{"id": "1", "text": "\x1b[31mred \x1b]0;x\x07"}\n')
    run("ingest", "tickets", "--partition", DAY)
    ended = run("quarantine", "tickets", "--show", "5")
    assert f"data/{DAY}.jsonl, line 1, byte 0" in ended.out
    assert '{"id": "1", "text": "\\x1b[31mred \\x1b]0;x\\x07"}' in ended.out
    assert "\x1b" not in ended.out


def test_filters_narrow_it_down(run: Run) -> None:
    run("ingest", "tickets", "--partition", "2026-11-01")
    assert run("quarantine", "tickets").out == "Nothing is in quarantine.\n"
    run("ingest", "tickets", "--partition", DAY)
    for option in (
        ("--reason", "wrong_type"),
        ("--day", "2026-11-19"),
        ("--column", "id"),
        ("--stage", "validate"),
    ):
        assert run("quarantine", "tickets", *option).out == (
            "Nothing of that kind is in quarantine. The reasons there are: broken_json\n"
        )
    assert run("quarantine", "tickets", "--day", "yesterday").code == 64


def test_json_and_a_copy_are_for_other_programs(run: Run, project: Path) -> None:
    run("ingest", "tickets", "--partition", DAY)
    ended = run("quarantine", "tickets", "--show", "1", "--json", "--export", str(project / "bad.jsonl"))
    assert f"1 row(s) written to {project}/bad.jsonl" in ended.err
    found = json.loads(ended.out)
    assert (found["counts"][0]["reason"], found["rows"][0]["raw"]) == ("broken_json", '{"id": "3", "te')
    assert json.loads((project / "bad.jsonl").read_text())["raw"] == '{"id": "3", "te'


def test_a_loop_that_never_ran_has_no_quarantine_yet(run: Run, project: Path) -> None:
    ended = run("quarantine", "tickets")
    assert ended.code == 64
    assert "quarantine" in ended.err
    assert not (project / ".lakeloop/lake").exists()
