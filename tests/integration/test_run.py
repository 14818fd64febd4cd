"""All stages in one process: days into the mart, what is due, and failures that do not stop the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from lakeloop.attempt import Attempt
from lakeloop.errors import DataError
from lakeloop.lake.store import Lake
from lakeloop.settings import Settings
from lakeloop.spec.loop import LoopSpec
from lakeloop.stages.frame.pending import work_left
from lakeloop.stages.frame.run import RunEvent, run
from lakeloop.stages.frame.session import StageContext
from lakeloop.stages.release.release import release
from lakeloop.stages.release.score import score
from lakeloop.stages.training.dataset import dataset
from lakeloop.stages.training.evaluate import evaluate
from tests.support.small_loop import DAYS, mart_rows, publish, small_context, small_loop, trained
from tests.support.small_loop import DAYS as SMALL_DAYS

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
    with pytest.raises(DataError, match="1 step failed; what does not depend on it is done") as failure:
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
    with pytest.raises(DataError, match="2 steps failed; what does not depend on them is done") as failure:
        run(context, DAYS[:2])
    assert failure.value.found == f"validate of {DAYS[0]}, {DAYS[1]}"
    told = [record.getMessage() for record in caplog.records if "failed" in record.getMessage()]
    assert [text.split(" failed")[0] for text in told] == [f"validate {day}" for day in DAYS[:2]]


def test_days_that_all_have_no_drop_end_in_an_error_that_says_so(context: StageContext) -> None:
    events: list[RunEvent] = []
    with pytest.raises(DataError, match="there is no data for the day; nothing was ingested") as failure:
        run(context, ["2026-12-24"], events.append)
    assert str(failure.value.expected) == "a delivery for 2026-12-24"
    assert "looked for" in str(failure.value.found)
    (record,) = [event.record for event in events if event.record]
    assert (record.stage, record.status) == ("ingest", "skipped")
    with pytest.raises(DataError, match="no data for any of the days"):
        run(context, ["2026-12-24", "2026-12-25"])


def test_one_day_without_a_drop_among_others_is_skipped(context: StageContext) -> None:
    records = run(context, [DAYS[0], "2026-12-24"])
    assert {record.status for record in records if record.partition == "2026-12-24"} == {"skipped"}


def test_a_roll_out_that_waits_is_named_as_left_out(tmp_path: Path) -> None:
    context = small_context(tmp_path)
    publish(context, DAYS[0], mart_rows(DAYS[0], 60))
    dataset(context, DAYS[0])
    for candidate in ("baseline", "finetune"):
        trained(context, candidate, DAYS[0])
    evaluate(context, DAYS[0])
    release(context, DAYS[0])
    events: list[RunEvent] = []
    assert run(context, [], events.append) == []
    assert events[-1] == RunEvent("rollout", DAYS[0], "left out", "not asked for: --roll-out")
    away = replace(context, settings=context.settings.model_copy(update={"server_url": "http://127.0.0.1:9"}))
    run(away, [], events.append, roll_out=True)
    assert events[-1].state == "left out"
    assert events[-1].message.startswith("no model server at http://127.0.0.1:9")


def test_rows_that_a_verb_of_its_own_answers_are_named_as_left_out(tmp_path: Path) -> None:
    context = small_context(tmp_path, small_loop(score={"source": "mart"}))
    publish(context, DAYS[0], mart_rows(DAYS[0], 60))
    dataset(context, DAYS[0])
    for candidate in ("baseline", "finetune"):
        trained(context, candidate, DAYS[0])
    evaluate(context, DAYS[0])
    release(context, DAYS[0])
    events: list[RunEvent] = []
    run(context, [], events.append)
    told = f"mart is answered by: lakeloop score small --partition {DAYS[0]}"
    assert events[-1] == RunEvent("score", DAYS[0], "left out", told)
    assert score(context, DAYS[0]).status == "done"
    events.clear()
    run(context, [], events.append)
    assert "score" not in {event.stage for event in events}


def test_a_candidate_that_was_trained_by_hand_is_evaluated_and_decided_upon(tmp_path: Path) -> None:
    context = small_context(tmp_path)
    publish(context, SMALL_DAYS[0], mart_rows(SMALL_DAYS[0], 60))
    dataset(context, SMALL_DAYS[0])
    for name in ("baseline", "finetune"):
        trained(context, name, SMALL_DAYS[0])
    evaluate(context, SMALL_DAYS[0])
    release(context, SMALL_DAYS[0])
    assert [record.stage for record in run(context, [])] == []
    trained(context, "finetune", SMALL_DAYS[0], seed=23)
    due = {step.stage: step for step in work_left(context)}
    assert due["evaluate"].reason == "trained and not evaluated: finetune"
    assert [record.stage for record in run(context, [])] == ["evaluate", "release"]
    assert "evaluate" not in {step.stage for step in work_left(context)}
