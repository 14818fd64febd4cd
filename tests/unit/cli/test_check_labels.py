"""check of a loop whose labels come apart from its rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command import DAY, LOOP, Run

APART = """labels:
  kind: files
  path: labels/{partition}.csv
  format: csv
  key: ticket
  columns: {ticket: string, team: string}
"""


def test_check_says_what_there_is_of_labels_that_come_apart(run: Run, project: Path) -> None:
    text = LOOP.replace(", team: string}", "}")
    assert text != LOOP
    (project / "loops/tickets/loop.yaml").write_text(text + APART)
    (project / f"data/{DAY}.jsonl").write_text('{"id": "1", "text": "good"}\n')
    (project / "labels").mkdir()
    (project / f"labels/{DAY}.csv").write_text("ticket,team\n1,billing\n")
    ended = run("check", "tickets")
    assert ended.code == 0, ended.err
    assert f"    labels come from labels/{{partition}}.csv: 1 day(s) there, {DAY}" in ended.out.splitlines()
    assert f"    1 of the first 1 records of {DAY} are rows" in ended.out.splitlines()


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ("key: ticket", "key: team", "labels.key: is the answer itself"),
        ("ticket: string,", "ticket: integer,", "labels.key: keys of two types"),
        ("team: string}", "desk: string}", "labels.columns: no column with the answers"),
        ("labels/{partition}", "labels/today", "labels.path: wrong value"),
        ("labels/{partition}", "/etc/{partition}", "labels.path"),
    ],
)
def test_check_says_why_labels_do_not_fit(run: Run, project: Path, right: str, wrong: str, told: str) -> None:
    text = LOOP.replace(", team: string}", "}") + APART.replace(right, wrong)
    (project / "loops/tickets/loop.yaml").write_text(text)
    ended = run("check", "tickets")
    assert ended.code == 64
    assert told in ended.err
