"""Of a day that was published again, only the rows that changed are new. On a real lake."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from lakeloop.datasets import news
from lakeloop.lake.delta import DeltaStore
from lakeloop.lake.upkeep import tidy_tables
from lakeloop.records import StageRecord
from lakeloop.spec.identity import training_identity
from lakeloop.stages.frame.session import StageContext
from lakeloop.stages.training.dataset import dataset
from lakeloop.stages.training.plan import decide_training
from tests.support.small_loop import DAYS, mart_rows, publish, small_context

DAY = DAYS[0]
ROWS = mart_rows(DAY, 240)
CORRECTED = [{**row, "text": f"corrected {row['text']}"} if n < 10 else row for n, row in enumerate(ROWS)]


@pytest.fixture
def context(tmp_path: Path) -> StageContext:
    """A loop that was trained on 240 rows of one day; 20 new ones make another training due."""
    context = small_context(tmp_path)
    publish(context, DAY, ROWS)
    evaluated(context, dataset(context, DAY))
    news._counted.clear()
    return context


def evaluated(context: StageContext, data: StageRecord) -> None:
    with context.stage("evaluate", DAY, config={"training": training_identity(context.loop)}) as stage:
        stage.inputs(dataset=data.outputs["digest"])
        stage.done(reason="evaluated")


def test_ten_corrected_rows_of_240_are_ten_new_rows(context: StageContext) -> None:
    publish(context, DAY, CORRECTED)
    decision = decide_training(context)
    assert not decision.train
    assert decision.reason == (
        f"10 new or changed rows since the training of {DAY} ({DAY}); 20 needed, 10 more"
    )


def test_changed_rows_and_a_new_day_add_up_to_a_training(context: StageContext) -> None:
    publish(context, DAY, CORRECTED)
    publish(context, DAYS[1], mart_rows(DAYS[1], 10))
    decision = decide_training(context)
    assert decision.train
    assert decision.reason.startswith("20 new or changed rows since")


def test_rows_that_only_moved_in_their_file_are_not_new(context: StageContext) -> None:
    publish(context, DAY, [{**row, "source_line": row["source_line"] + 1} for row in ROWS])
    assert decide_training(context).reason.startswith("0 new or changed rows since")


def test_a_corrected_answer_is_a_new_row(context: StageContext) -> None:
    publish(context, DAY, [{**row, "label": "tech"} for row in ROWS])
    assert decide_training(context).reason.startswith("160 new or changed rows since")


def test_the_same_count_is_not_read_twice(context: StageContext, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(context, DAY, CORRECTED)
    first = decide_training(context)
    monkeypatch.setattr(news, "_count", lambda *_: pytest.fail("read again"))
    assert decide_training(context) == first


def test_all_rows_count_when_the_version_that_was_trained_on_is_gone(context: StageContext) -> None:
    publish(context, DAY, CORRECTED)
    store = DeltaStore(f"{context.settings.lake}/{context.loop.name}")
    tidy_tables(store, ["mart"], timedelta(0))
    decision = decide_training(context)
    assert decision.train
    assert decision.reason.startswith("240 new or changed rows since")
