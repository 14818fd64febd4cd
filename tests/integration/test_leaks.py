"""Leaks, splits and labels without rows: from published days to plan, data set and gate, on a real lake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lakeloop.datasets.freeze import read_card
from lakeloop.errors import DataError
from lakeloop.measures.leaking import LeakReport
from lakeloop.stages.frame.session import StageContext
from lakeloop.stages.release.release import release
from lakeloop.stages.training.dataset import dataset
from lakeloop.stages.training.evaluate import evaluate
from lakeloop.stages.training.frozen import leaks_of
from lakeloop.stages.training.plan import decide_training
from lakeloop.stages.training.preview import plan
from tests.support.small_loop import DAYS, mart_rows, publish, small_context, small_loop, trained


def published(tmp_path: Path, **sections: Any) -> StageContext:
    """Three days, of whose rows the last day's have the keys of the first, and texts of their own."""
    context = small_context(tmp_path, small_loop(train={"min_rows": 30}, **sections))
    for day in DAYS:
        rows = mart_rows(day, 60)
        if day == DAYS[2]:
            rows = [{**row, "row_id": f"{DAYS[0]}-{number}"} for number, row in enumerate(rows)]
        publish(context, day, rows)
    return context


def test_a_leak_is_told_by_plan_data_set_evaluation_and_gate(tmp_path: Path) -> None:
    context = published(tmp_path)
    seen = plan(context)
    assert {leak.kind for leak in seen.leaks.leaks} == {"keys", "written"}
    assert seen.leaks.not_looked["copied"] == "the model reads the text alone"
    frozen = dataset(context, DAYS[2])
    assert "2 leaks suspected: written, text: " in frozen.reason
    assert LeakReport.of(frozen.leaks) == seen.leaks
    assert leaks_of(context, frozen.outputs["digest"]) == seen.leaks.leaks
    trained(context, "baseline", DAYS[2])
    judged = evaluate(context, DAYS[2])
    page = Path(judged.links["report"]).read_text()
    assert "Suspected leaks" in page
    assert seen.leaks.leaks[1].examples[0].where in page
    shared = Path(judged.links["report"]).with_name("without-texts.html")
    assert not shared.exists() or seen.leaks.leaks[1].examples[0].where not in shared.read_text()
    released = release(context, DAYS[2])
    assert released.status == "done"
    assert "2 leaks suspected" in released.reason


def test_a_leak_that_is_refused_ends_the_data_set_also_one_that_was_frozen_before(tmp_path: Path) -> None:
    strict = published(tmp_path, leaks={"refuse": ["keys"]})
    with pytest.raises(DataError, match="the data set leaks") as raised:
        dataset(strict, DAYS[2])
    assert "keys, id: " in raised.value.found
    lenient = small_context(tmp_path, small_loop(train={"min_rows": 30}))
    assert dataset(lenient, DAYS[2]).status == "done"
    with pytest.raises(DataError, match="the data set leaks"):
        dataset(strict, DAYS[2])


def test_what_is_looked_for_decides_no_rows_and_asks_for_no_training(tmp_path: Path) -> None:
    context = published(tmp_path)
    first = dataset(context, DAYS[2])
    other = small_context(tmp_path, small_loop(train={"min_rows": 30}, leaks={"skip": ["keys", "written"]}))
    again = dataset(other, DAYS[2])
    assert (again.status, again.outputs["digest"]) == ("done", first.outputs["digest"])
    assert LeakReport.of(again.leaks).leaks == ()
    assert "leaks" in again.inputs
    assert "leaks" not in first.inputs


def test_by_time_the_plan_shows_both_sides_by_day_and_label_and_a_switch_is_another_data_set(
    tmp_path: Path,
) -> None:
    context = published(tmp_path)
    by_hash = dataset(context, DAYS[2])
    timely = small_context(
        tmp_path, small_loop(train={"min_rows": 30}, split={"by": "time", "test_days": 1, "group": "id"})
    )
    seen = plan(timely)
    assert seen.split == (
        "by time: the newest 1 day(s) are the test, from 2026-11-18 on; of those before 10% validation,"
        " rows of one id on one side"
    )
    assert {day: sides["test"] for day, sides in seen.days.items()} == {DAYS[0]: 0, DAYS[1]: 0, DAYS[2]: 60}
    assert all(sides["test"] == 20 and sides["train"] for sides in seen.answers.values())
    by_time = dataset(timely, DAYS[2])
    assert by_time.outputs["digest"] != by_hash.outputs["digest"]
    assert by_time.config["split"] == {"by": "time", "test_days": 1, "group": "id"}


def test_a_label_without_training_rows_is_said_by_plan_data_set_and_gate(tmp_path: Path) -> None:
    labels = ("business", "sports", "tech", "weather")
    task = {"text": "text", "label": "label", "labels": labels}
    context = small_context(tmp_path, small_loop(task=task, train={"min_rows": 30}))
    for day in DAYS:
        publish(context, day, mart_rows(day, 40))
    said = "no training row of weather: models cannot answer it"
    decision = decide_training(context)
    assert decision.train
    assert decision.reason.endswith(said)
    assert plan(context).answers["weather"] == {"train": 0, "validation": 0, "test": 0}
    frozen = dataset(context, DAYS[2])
    assert said in frozen.reason
    card = read_card(context.lake.files.fetch(frozen.outputs["dataset"], tmp_path / "fetched"))
    assert card.profiles["train"].shares["weather"] == 0
    trained(context, "baseline", DAYS[2])
    evaluate(context, DAYS[2])
    assert "cannot answer weather" in release(context, DAYS[2]).reason


def test_no_training_is_due_where_a_label_without_rows_is_refused(tmp_path: Path) -> None:
    labels = ("business", "sports", "tech", "weather")
    task = {"text": "text", "label": "label", "labels": labels}
    train = {"min_rows": 30, "missing_answers": "refuse"}
    context = small_context(tmp_path, small_loop(task=task, train=train))
    publish(context, DAYS[0], mart_rows(DAYS[0], 60))
    decision = decide_training(context)
    assert not decision.train
    assert decision.reason.startswith("no training row of weather")


def test_no_training_is_due_by_time_before_there_is_a_day_that_is_no_test_day(tmp_path: Path) -> None:
    context = published(tmp_path, split={"by": "time", "test_days": 3})
    decision = decide_training(context)
    assert not decision.train
    assert decision.reason.startswith(
        "no published day, 2026-11-16..2026-11-18, is older than the 3 test day(s)"
    )
    publish(context, "2026-11-19", mart_rows("2026-11-19", 60))
    assert decide_training(context).train
