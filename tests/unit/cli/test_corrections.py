"""The verb `corrections`: they are listed, and one is taken back, whatever was done since."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import DAY, Ended, Run
from tests.support.quick_stages import quick
from tests.unit.cli.test_readmit import put, run_day

ROWS = [{"id": "1", "text": "one", "team": "billing"}, {"id": "2", "text": "two", "team": "sales"}]


@pytest.fixture(autouse=True)
def _corrected(project: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    """Row 2 has a team that nobody knows, and was given another."""
    quick(monkeypatch, project / "dbt")
    put(project, *ROWS)
    run_day(run)
    edit(run, project, team="technical", why="sales is technical")


def edit(run: Run, project: Path, why: str, **fields: Any) -> None:
    file = project / "rows.jsonl"
    assert run("quarantine", "tickets", "--edit", str(file)).code == 0
    (row,) = map(json.loads, file.read_text().splitlines())
    file.write_text(json.dumps({**row, **fields}) + "\n")
    assert run("readmit", "tickets", "--edited", str(file), "--why", why).code == 0


def listed(run: Run, *options: str) -> list[tuple[int, str, str]]:
    found = json.loads(run("corrections", "tickets", "--json", *options).out)
    return [(each["number"], each["state"], each["why"]) for each in found]


def back(run: Run, number: int, why: str = "it was sales") -> Ended:
    return run("corrections", "tickets", "--take-back", str(number), "--why", why)


def quarantined(run: Run) -> bool:
    return run("quarantine", "tickets").out != "Nothing is in quarantine.\n"


def test_each_is_listed_with_its_record_who_made_it_and_why(run: Run) -> None:
    assert listed(run) == [(1, "counts", "sales is technical")]
    said = run("corrections", "tickets").out
    for part in (DAY, "counts", "sales is technical", "technical"):
        assert part in said
    assert listed(run, "--day", "2020-01-01") == []
    assert run("corrections", "tickets", "--day", "2020-01-01").out == "No record was corrected.\n"


def test_one_that_is_taken_back_puts_the_row_into_quarantine_again(run: Run, project: Path) -> None:
    assert not quarantined(run)
    ended = back(run, 1)
    assert (ended.code, ended.out) == (0, f"1 taken back; done anew: {DAY}\n")
    assert quarantined(run)
    assert listed(run) == [(1, "no more", "sales is technical"), (2, "takes back", "it was sales")]
    edit(run, project, team="billing", why="it is billing")
    assert [state for _, state, _ in listed(run)] == ["no more", "no more", "counts"]
    assert not quarantined(run)


@pytest.mark.parametrize(
    ("number", "why", "said"),
    [(7, "x", "no correction of this number"), (1, " ", "a change by hand needs a reason")],
)
def test_what_cannot_be_taken_back_is_said_and_nothing_changes(
    number: int, why: str, said: str, run: Run
) -> None:
    ended = back(run, number, why)
    assert ended.code == 64
    assert said in ended.err
    assert listed(run) == [(1, "counts", "sales is technical")]


def test_nothing_is_taken_back_twice(run: Run) -> None:
    back(run, 1)
    assert "a newer one of the same record" in back(run, 1).err
    assert "one that takes another back" in back(run, 2).err
    assert len(listed(run)) == 2


def test_a_record_whose_drop_is_gone_stays_corrected(run: Run, project: Path) -> None:
    (project / f"data/{DAY}.jsonl").unlink()
    ended = back(run, 1)
    assert ended.code == 65
    assert "the record as it was delivered is gone" in ended.err
    assert listed(run) == [(1, "counts", "sales is technical")]
