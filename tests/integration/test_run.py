"""All stages in one process: days into the mart, what is due, and failures that do not stop the rest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from lakeloop.attempt import Attempt
from lakeloop.errors import DataError
from lakeloop.lake.store import Lake
from lakeloop.settings import Settings
from lakeloop.spec.loop import LoopSpec
from lakeloop.stages.frame.run import RunEvent, run
from lakeloop.stages.frame.session import StageContext
from tests.support.small_loop import DAYS

pytestmark = pytest.mark.slow

LOOP = LoopSpec.model_validate(
    {
        "name": "news",
        "source": {
            "kind": "files",
            "path": "drops/{partition}.csv",
            "format": "csv",
            "key": "story_id",
            "event_time": "published_at",
            "columns": {
                "story_id": "string",
                "published_at": "timestamp",
                "text": "string",
                "desk": "string",
            },
        },
        "task": {"kind": "classification", "text": "text", "label": "desk", "labels": ["sports", "tech"]},
        "train": {"min_rows": 1000},
    }
)


@pytest.fixture
def context(tmp_path: Path, root: Path) -> StageContext:
    """The loop `news` with its real dbt models and drops of eight good stories and one of no known desk."""
    for folder in ("loops", "drops"):
        (tmp_path / folder).mkdir()
    for day in DAYS:
        write_drop(tmp_path, day)
    settings = Settings(root=tmp_path, dbt=root / "dbt")
    lake = Lake.from_settings(settings, LOOP)
    lake.bootstrap(LOOP)
    return StageContext(LOOP, lake, settings, Attempt("test-run"))


DESKS = (*("sports", "tech") * 4, "gardening")


def write_drop(folder: Path, day: str, desks: Sequence[str] = DESKS) -> None:
    stories = [f"{day}-{n},{day}T08:00:00Z,Story {n} of {day}.,{desk}" for n, desk in enumerate(desks)]
    header = "story_id,published_at,text,desk"
    (folder / "drops" / f"{day}.csv").write_text("\n".join((header, *stories)) + "\n")


def test_days_go_into_the_mart_and_a_second_run_does_nothing(context: StageContext) -> None:
    events: list[RunEvent] = []
    records = run(context, DAYS[:2], events.append)
    assert [(record.stage, record.partition) for record in records] == [
        (stage, day) for day in DAYS[:2] for stage in ("ingest", "transform", "validate")
    ]
    assert context.lake.read("mart").num_rows == 16
    assert events[0] == RunEvent("ingest", DAYS[0], "started")
    assert events[1].record == records[0]
    assert events[-1].stage == "plan"
    assert events[-1].message.endswith("training needs 1000 rows, 984 more")

    again = run(context, DAYS[:2])
    assert {record.status for record in again} == {"unchanged"}
    assert [record.outputs for record in again] == [record.outputs for record in records]


def test_a_day_that_fails_does_not_stop_the_others(context: StageContext, tmp_path: Path) -> None:
    write_drop(tmp_path, DAYS[0], ["gardening"])
    events: list[RunEvent] = []
    with pytest.raises(DataError, match="1 step failed; everything else is done") as failure:
        run(context, DAYS, events.append)
    assert failure.value.found == f"validate of {DAYS[0]}"
    (failed,) = [event for event in events if event.state == "failed"]
    assert (failed.stage, failed.partition) == ("validate", DAYS[0])
    assert "checks failed; nothing of the day" in failed.message
    assert set(context.lake.read("mart")["partition"].to_pylist()) == set(DAYS[1:])


def test_an_error_is_told_once_and_the_end_counts(
    context: StageContext, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for day in DAYS[:2]:
        write_drop(tmp_path, day, ["gardening"])
    with pytest.raises(DataError, match="2 steps failed; everything else is done") as failure:
        run(context, DAYS[:2])
    assert failure.value.found == f"validate of {DAYS[0]}, {DAYS[1]}"
    told = [record.getMessage() for record in caplog.records if "failed" in record.getMessage()]
    assert [text.split(" failed")[0] for text in told] == [f"validate {day}" for day in DAYS[:2]]


def test_a_day_without_a_drop_is_skipped(context: StageContext) -> None:
    (record,) = run(context, ["2026-12-24"])
    assert (record.stage, record.status) == ("ingest", "skipped")
