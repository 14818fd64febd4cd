"""All stages in one process: days into the mart, what is due, and failures that do not stop the rest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from lakeloop.attempt import Attempt
from lakeloop.errors import DataError
from lakeloop.lake import Lake
from lakeloop.settings import Settings
from lakeloop.spec.models import LoopSpec
from lakeloop.stages.run import RunEvent, run
from lakeloop.stages.session import StageContext
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
        "task": {"text": "text", "label": "desk", "labels": ["sports", "tech"]},
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
    with pytest.raises(DataError, match=f"validate {DAYS[0]}: .* checks failed; nothing of the day"):
        run(context, DAYS, events.append)
    failed = [(event.stage, event.partition) for event in events if event.state == "failed"]
    assert failed == [("validate", DAYS[0])]
    assert set(context.lake.read("mart")["partition"].to_pylist()) == set(DAYS[1:])


def test_all_failures_are_named_together(context: StageContext, tmp_path: Path) -> None:
    for day in DAYS[:2]:
        write_drop(tmp_path, day, ["gardening"])
    with pytest.raises(DataError, match="2 steps failed; everything else is done") as failure:
        run(context, DAYS[:2])
    assert all(f"validate {day}: " in failure.value.found for day in DAYS[:2])


def test_a_day_without_a_drop_is_skipped(context: StageContext) -> None:
    (record,) = run(context, ["2026-12-24"])
    assert (record.stage, record.status) == ("ingest", "skipped")
