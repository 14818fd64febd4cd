"""A record as a panel: what a person needs, and nothing that does not fit a terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
from rich.console import Console

from lakeloop.cli.report import record_panel, show_record
from lakeloop.local.status_view import COLOURS
from lakeloop.records import Counts, Provenance, StageRecord, Status, now


def make_record(root: Path, **parts: Any) -> StageRecord:
    return StageRecord.model_validate(
        {
            "loop": "news",
            "stage": "ingest",
            "partition": "2026-11-20",
            "status": "done",
            "reason": "5 rows [and a bracket]",
            "provenance": Provenance.collect(run_id="r", try_number=1, started_at=now(), root=root),
            **parts,
        }
    )


def shown(root: Path, **parts: Any) -> str:
    record = make_record(root, **parts)
    console = Console(width=100, color_system=None)
    with console.capture() as capture:
        console.print(record_panel(record))
    return capture.get()


@pytest.mark.parametrize("status", get_args(Status))
def test_every_status_is_shown_with_its_reason(root: Path, status: Status) -> None:
    text = shown(root, status=status)
    assert f"news ingest 2026-11-20: {status}" in text
    assert "5 rows [and a bracket]" in text
    assert status in COLOURS


def test_counts_are_shown_as_the_sum_that_they_are(root: Path) -> None:
    counts = Counts(read=9, accepted=6, quarantined=2, duplicates=1)
    assert "9 read = 6 accepted + 2 quarantined + 1 duplicate" in shown(root, counts=counts)


def test_links_metrics_and_short_outputs_are_listed(root: Path) -> None:
    text = shown(
        root,
        metrics={"macro_f1": 0.912345678},
        outputs={"version": "v3", "answers": "x" * 100},
        links={"report": "/home/index.html"},
    )
    assert "macro_f1  0.9123" in text
    assert "version   v3" in text
    assert "report    /home/index.html" in text
    assert "xxx" not in text


def test_many_metrics_are_cut_and_counted(root: Path) -> None:
    text = shown(root, metrics={f"metric_{n}": n for n in range(20)})
    assert "metric_11" in text
    assert "metric_12" not in text
    assert "8 more with --json" in text


def test_the_seconds_of_an_earlier_run_are_not_shown_as_those_of_this_one(root: Path) -> None:
    assert "0.0 s" in shown(root, status="done")
    assert "0.0 s" not in shown(root, status="unchanged")


def test_json_is_the_record_to_the_letter(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = make_record(root, reason=f"see :bug: and [red]this[/] {'word ' * 100}")
    show_record(record, as_json=True)
    assert StageRecord.model_validate_json(capsys.readouterr().out) == record
