"""The drawing of a loop's status: everything is said, at any width."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from lakeloop.local.status_view import console_for_people, status_panel
from lakeloop.records import Counts
from lakeloop.stages.frame.activity import StageActivity
from lakeloop.stages.frame.pending import Pending
from lakeloop.stages.frame.queue import QueuedTraining
from lakeloop.stages.frame.status import (
    ChampionStatus,
    DecisionStatus,
    LoopStatus,
    PartitionStatus,
    StageStatus,
)
from lakeloop.stages.release.asked import Asked
from tests.support.records import NOON

REASON = "finetune with macro F1 0.9793 (baseline 0.9765) passes: at least 0.9000 asked; no champion yet"


def day(partition: str, **values: Any) -> PartitionStatus:
    published = {
        "read": 456, "accepted": 431, "quarantined": 16, "duplicates": 9, "reconciled": True,
        "stages": ("ingest", "transform", "validate"), "checks_passed": 8, "checks_total": 8,
        "seconds": 3.0, "standing": False,
    }  # fmt: skip
    return PartitionStatus(partition=partition, **{**published, **values})


def loop_status(*days: PartitionStatus) -> LoopStatus:
    return LoopStatus(
        loop="news",
        description="Sort [news] by desk.",
        at=NOON,
        stages=(
            StageStatus(
                stage="release",
                partition="2026-11-20",
                status="done",
                reason=REASON,
                finished_at=NOON,
                seconds=1.5,
            ),
        ),
        partitions=days or (day("2026-11-20"),),
        totals=Counts(read=456, accepted=431, quarantined=16, duplicates=9),
        checks_passed=8,
        checks_total=8,
        scores={"baseline": 0.9765, "finetune": 0.9793},
        intervals={"finetune": (0.9611, 0.9902)},
        champion=ChampionStatus(
            version="v1", digest="dd18023fe05508abff", candidate="finetune", method="top_layers",
            metric="macro F1", score=0.9793, since=NOON, reason="", rolled_out=True,
        ),
        decision=DecisionStatus(partition="2026-11-20", accepted=True, reason=REASON, decided_at=NOON),
        pending=(Pending(stage="transform", partition="2026-11-21", reason="9 rows wait"),),
        links={"report": "/reports/index.html"},
    )  # fmt: skip


def drawn(status: LoopStatus, width: int) -> list[str]:
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(status_panel(status))
    lines = capture.get().splitlines()
    assert max(len(line) for line in lines) <= width
    return [line.strip("│ ") for line in lines]


@pytest.mark.parametrize("width", [60, 80, 100, 130, 200])
def test_a_reason_has_room_at_any_width(width: int) -> None:
    lines = [line for line in drawn(loop_status(), width) if not line.startswith("gate")]
    assert any(REASON[:40] in line for line in lines)


def test_a_wide_terminal_has_the_reason_in_the_row_of_its_stage() -> None:
    (row,) = [line for line in drawn(loop_status(), 200) if line.startswith("release")]
    assert row.endswith(REASON)


def test_a_narrow_one_has_it_below() -> None:
    lines = drawn(loop_status(), 80)
    place = next(number for number, line in enumerate(lines) if line.startswith("release"))
    assert lines[place].split() == ["release", "2026-11-20", "done", "11-20", "12:00", "1.5", "s"]
    assert " ".join(lines[place + 1 : place + 3]) == REASON


def test_it_says_everything_that_the_end_of_the_demo_has_to_say() -> None:
    text = "\n".join(drawn(loop_status(), 160))
    for part in (
        "Sort [news] by desk.",
        "every row accounted for",
        "v1 (finetune, top_layers, macro F1 0.9793)",
        "sha256 dd18023fe05508ab",
        f"accepted 2026-11-20: {REASON}",
        "baseline 0.9765, finetune 0.9793 [0.9611, 0.9902]",
        "transform 2026-11-21: 9 rows wait",
        "/reports/index.html",
    ):
        assert part in text


def test_a_person_who_is_asked_is_told_what_and_how_to_answer() -> None:
    asked = Asked(loop="news", partition="2026-11-20", candidate="finetune", over="v1", since=NOON)
    text = "\n".join(drawn(loop_status().model_copy(update={"asked": asked}), 250))
    assert "waits: 2026-11-20, candidate finetune beside champion v1, since " in text
    assert "lakeloop approve news --partition 2026-11-20" in text


def test_rows_that_went_missing_are_not_called_accounted_for() -> None:
    text = "\n".join(drawn(loop_status(day("2026-11-20", reconciled=False)), 120))
    assert "the counts do not add up" in text
    assert "ROWS MISSING" in text


def test_a_pipe_is_given_room_and_columns_decide_when_they_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert console_for_people().width == 120
    monkeypatch.setenv("COLUMNS", "72")
    assert console_for_people().width == 72


def test_a_day_that_failed_says_why() -> None:
    reason = "2 of 8 checks failed\n  found: wrong_type in id (9), \x1b[31mred"
    failures = tuple(
        StageActivity(stage="validate", partition=f"2026-11-2{n}", at=NOON, reason=reason) for n in range(3)
    )
    status = loop_status(day("2026-11-22", stages=("ingest", "transform"), failed="validate"))
    lines = drawn(status.model_copy(update={"failed": failures}), 130)
    assert sum(line.startswith("failed") for line in lines) == 3
    whole = [line for line in lines if "found: wrong_type in id (9), \\x1b[31mred" in line]
    assert len(whole) == 2, "the newest two"
    assert any("no; done: ingest, transform; validate failed" in line for line in lines)


def test_a_training_that_waits_for_a_device_says_why() -> None:
    waits = QueuedTraining(
        stage="train-finetune", partition="2026-11-20", since=NOON, reason="device 0 is at work"
    )
    text = "\n".join(drawn(loop_status().model_copy(update={"queue": (waits,)}), 160))
    assert "waits" in text
    assert "train-finetune 2026-11-20: device 0 is at work; for how long is not known" in text
