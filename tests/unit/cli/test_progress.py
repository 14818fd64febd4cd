"""What a person sees while all stages of several days run."""

from __future__ import annotations

import pytest
from rich.console import Console

from lakeloop.cli.progress import RunView
from lakeloop.records import StageRecord
from lakeloop.stages.frame.run import RunEvent
from tests.support.records import provenance
from tests.support.small_loop import small_loop

DAYS = ("2026-11-20", "2026-11-21")


def test_what_was_done_before_is_counted_and_has_no_line_of_its_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with RunView(small_loop(), DAYS) as view:
        for day, status in zip(DAYS, ("unchanged", "done"), strict=True):
            record = StageRecord(
                loop="tickets", stage="ingest", partition=day, status=status, reason=f"of {day}",
                provenance=provenance(seconds=2.0),
            )  # fmt: skip
            view.show(RunEvent("ingest", day, "ended", record.reason, record))
    assert [line.split() for line in capsys.readouterr().err.split("\n") if line.strip()] == [
        [DAYS[1], "ingest", "done", "of", DAYS[1]]
    ]
    console = Console(width=100)
    with console.capture() as shown:
        console.print(view.summary())
    assert shown.get().splitlines()[1].split() == ["ingest", "1", "1", "2.0"]
