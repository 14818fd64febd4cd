"""doubts: published rows whose answer is probably wrong are listed, left out, and edited."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.support.command import DAY, LOOP, Run
from tests.support.quick_stages import quick

TEXTS = {"billing": "the invoice has a wrong price and tax", "technical": "the server and the browser crash"}
WRONG = "7"


@pytest.fixture(autouse=True)
def _published(project: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    quick(monkeypatch, project / "dbt")
    rows = []
    for number in range(30):
        team = sorted(TEXTS)[number % 2]
        said = sorted(TEXTS)[(number + 1) % 2] if str(number) == WRONG else team
        rows.append({"id": str(number), "text": f"{TEXTS[team]} {number}", "team": said})
    (project / f"data/{DAY}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    for stage in ("ingest", "transform", "validate"):
        assert run(stage, "tickets", "--partition", DAY).code == 0


def doubted(run: Run) -> list[str]:
    return [doubt["row_id"] for doubt in json.loads(run("doubts", "tickets", "--json").out)]


def test_the_worst_is_left_out_with_a_reason_and_is_not_doubted_again(run: Run, project: Path) -> None:
    listed = run("doubts", "tickets")
    assert listed.code == 0, listed.err
    assert "more likely" in listed.out
    assert "the server and the browser" in listed.out
    assert doubted(run)[0] == WRONG
    assert run("doubts", "tickets", "--quarantine", "1").code == 64
    assert run("doubts", "tickets", "--quarantine", "nobody", "--why", "x").code == 64
    done = run("doubts", "tickets", "--quarantine", WRONG, "--why", "looked at")
    assert done.code == 0, done.err
    assert f"1 row(s) left out; done anew: {DAY}" in done.err
    shown = run("quarantine", "tickets", "--show", "5").out
    assert "discarded" in shown
    assert "looked at" in shown
    assert WRONG not in doubted(run)


def test_edited_answers_come_back_by_readmit(run: Run, project: Path) -> None:
    file = project / "rows.csv"
    done = run("doubts", "tickets", "--review", str(file))
    assert done.code == 0, done.err
    with file.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert (rows[0]["id"], rows[0]["quarantine.reason"]) == (WRONG, "answer_doubted")
    rows[0]["team"] = "technical"
    with file.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerow(rows[0])
    taken = run("readmit", "tickets", "--edited", str(file), "--why", "read again")
    assert taken.code == 0, taken.err
    assert "1 row(s) to take in" in taken.err
    assert WRONG not in doubted(run)
    again = run("readmit", "tickets", "--edited", str(file), "--why", "read again")
    assert "0 row(s) to take in, 0 to leave out for good, 1 left as they were" in again.err


def test_a_task_of_other_answers_says_so(run: Run, project: Path) -> None:
    file = project / "loops/tickets/loop.yaml"
    file.write_text(LOOP.replace("task:\n", "task:\n  kind: multi_label\n"))
    ended = run("doubts", "tickets")
    assert ended.code == 64
    assert "not doubted" in ended.err
