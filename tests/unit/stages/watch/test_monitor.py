"""The monitor stage says what was answered on one day, and how far that is from training; no more."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from deltalake.schema import Field as DeltaField
from deltalake.schema import PrimitiveType

from lakeloop.errors import ArtifactError
from lakeloop.lake.tables import PREDICTIONS
from lakeloop.stages.frame.session import StageContext
from lakeloop.stages.watch.monitor import monitor
from tests.support.serving import add_numbers, open_project, promote

DAY = "2026-11-20"
FORMAT_1 = {"label": "string", "score": "double", "scores": "string"}
"""Columns of the answers in a lake of an earlier version."""


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StageContext:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    return open_project(tmp_path)


def log_predictions(
    context: StageContext, batch: str, labels: list[str], day: str = DAY, text: str | None = "a text"
) -> None:
    """One request a label; the n-th took n ms."""
    answers = [{"label": label, "score": 0.8, "scores": {label: 0.8}} for label in labels]
    log_answers(context, batch, answers, day, text)


def log_answers(
    context: StageContext,
    batch: str,
    answers: Sequence[Mapping[str, object]],
    day: str = DAY,
    text: str | None = "a text",
) -> None:
    rows = [
        {
            "partition": day,
            "batch_id": batch,
            "request_id": f"{batch}-{number}",
            "predicted_at": datetime.fromisoformat(day).replace(tzinfo=UTC),
            "model_version": "v1",
            "text_sha256": "",
            "text": text,
            "answer": json.dumps(answer),
            "latency_ms": float(number),
        }
        for number, answer in enumerate(answers, start=1)
    ]
    context.lake.append_once("predictions", pa.Table.from_pylist(rows, PREDICTIONS), batch_id=batch)


def test_shares_are_compared_with_the_champions_training(context: StageContext) -> None:
    promote(context, 1, {"sports": 0.5, "tech": 0.5})
    log_predictions(context, "a", ["tech"] * 7 + ["sports"] * 3)
    log_predictions(context, "other-day", ["sports"] * 50, day="2026-11-19")

    record = monitor(context, DAY)

    assert record.status == "done"
    assert record.metrics["monitor/predictions"] == 10
    assert record.metrics["monitor/total_variation"] == pytest.approx(0.2)
    assert record.metrics["monitor/share/tech"] == pytest.approx(0.7)
    assert record.metrics["monitor/difference/sports"] == pytest.approx(0.2)
    assert record.metrics["monitor/mean_score"] == pytest.approx(0.8)
    assert record.metrics["monitor/latency_p50_ms"] == pytest.approx(5.5)
    assert record.metrics["monitor/latency_p95_ms"] == pytest.approx(9.55)
    assert record.reason.startswith("10 predictions; 20.0% of them")


def test_answers_are_counted_where_the_log_keeps_no_texts(context: StageContext) -> None:
    promote(context, 1, {"sports": 0.5, "tech": 0.5})
    log_predictions(context, "a", ["tech"] * 7 + ["sports"] * 3, text=None)

    record = monitor(context, DAY)

    assert record.status == "done"
    assert record.metrics["monitor/share/tech"] == pytest.approx(0.7)


def test_a_day_without_predictions_is_skipped_and_says_so(context: StageContext) -> None:
    promote(context, 1)

    record = monitor(context, DAY)

    assert (record.status, record.reason) == ("skipped", f"no predictions on {DAY}")


def test_smoke_texts_of_a_roll_out_are_no_use_of_the_model(context: StageContext) -> None:
    promote(context, 1, {"sports": 0.5, "tech": 0.5})
    log_predictions(context, f"smoke-{DAY}-v1", ["sports"] * 2)
    assert monitor(context, DAY).reason == f"no predictions on {DAY}"

    log_predictions(context, "a", ["tech"] * 4)
    record = monitor(context, DAY)
    assert record.metrics["monitor/predictions"] == 4
    assert record.metrics["monitor/requests"] == 4
    assert record.metrics["monitor/share/tech"] == 1


def test_without_a_champion_there_is_nothing_to_compare_with(context: StageContext) -> None:
    log_predictions(context, "a", ["tech"])

    assert monitor(context, DAY).status == "skipped"


def test_it_is_unchanged_until_that_day_gets_more_predictions(context: StageContext) -> None:
    promote(context, 1)
    log_predictions(context, "a", ["tech"])
    first = monitor(context, DAY)
    log_predictions(context, "other-day", ["tech"], day="2026-11-19")
    again = monitor(context, DAY)
    log_predictions(context, "b", ["sports"])
    more = monitor(context, DAY)

    assert (first.status, again.status, more.status) == ("done", "unchanged", "done")
    assert again.metrics == first.metrics
    assert more.metrics["monitor/predictions"] == 2


def test_a_label_the_champion_never_saw_is_seen(context: StageContext) -> None:
    promote(context, 1, {"sports": 0.5, "tech": 0.5})
    log_predictions(context, "a", ["opera", "sports"])

    record = monitor(context, DAY)

    assert record.metrics["monitor/share/opera"] == 0.5
    assert record.metrics["monitor/total_variation"] == pytest.approx(0.5)


def test_texts_of_one_request_count_its_latency_once(context: StageContext) -> None:
    promote(context, 1)
    log_predictions(context, "a", ["tech", "sports"])
    table = context.lake.read("predictions", partition=DAY)
    many = pa.concat_tables([table.slice(0, 1)] * 9)
    many = many.set_column(many.schema.get_field_index("batch_id"), "batch_id", pa.array(["b"] * 9))
    many = many.set_column(many.schema.get_field_index("request_id"), "request_id", pa.array(["big"] * 9))
    context.lake.append_once("predictions", many, batch_id="b")

    record = monitor(context, DAY)

    assert record.metrics["monitor/predictions"] == 11
    assert record.metrics["monitor/requests"] == 3


def test_a_changed_description_is_not_believed(context: StageContext) -> None:
    version = promote(context, 1)
    log_predictions(context, "a", ["tech"])
    description = Path(context.lake.files.uri(version.folder_name)) / "description.json"
    description.write_text(description.read_text().replace("0.5", "0.1"))

    with pytest.raises(ArtifactError, match="are not the ones that were stored"):
        monitor(context, DAY)


def test_numbers_are_compared_by_the_intervals_of_the_training(context: StageContext) -> None:
    stars = add_numbers(context)
    promote(stars, 1)
    log_answers(stars, "a", [{"value": 2.6}, {"value": 3.0}, {"value": 4.0}, {"value": 9.0}])

    record = monitor(stars, DAY)

    assert record.status == "done"
    assert record.metrics["monitor/share/2.5 to 4"] == 1.0
    assert record.metrics["monitor/total_variation"] == pytest.approx(0.5)
    assert record.metrics["monitor/mean"] == pytest.approx(4.65)
    assert "4 predictions; 50.0% of them" in record.reason


def test_answers_of_a_champion_of_another_task_are_counted_apart(context: StageContext) -> None:
    promote(context, 1)
    log_answers(context, "a", [{"value": 2.6}])
    nothing = monitor(context, DAY)
    log_predictions(context, "b", ["tech", "sports"])
    record = monitor(context, DAY)

    assert (nothing.status, record.status) == ("skipped", "done")
    assert "none of the task of v1" in nothing.reason
    assert record.metrics["monitor/predictions"] == 3
    assert record.metrics["monitor/of_another_task"] == 1
    assert record.metrics["monitor/total_variation"] == 0


def test_rows_of_an_earlier_version_are_counted_as_those_of_today(context: StageContext) -> None:
    promote(context, 1, {"sports": 0.5, "tech": 0.5})
    table = context.lake.dataset("predictions").schema
    DeltaTable(context.lake.uri("predictions")).alter.add_columns(
        [DeltaField(name, PrimitiveType(kind)) for name, kind in FORMAT_1.items()]
    )
    log_predictions(context, "today", ["tech"])
    day = pa.Table.from_pylist(
        [
            {
                "partition": DAY, "batch_id": "old", "request_id": "r", "model_version": "v1",
                "predicted_at": datetime.fromisoformat(DAY).replace(tzinfo=UTC), "latency_ms": 1.0,
                "label": "tech", "score": 0.6, "scores": '{"tech": 0.6, "sports": 0.4}',
            }
        ],
        context.lake.dataset("predictions").schema,
    )  # fmt: skip
    context.lake.append_once("predictions", day, batch_id="old")
    assert set(context.lake.dataset("predictions").schema.names) == {*table.names, *FORMAT_1}

    record = monitor(context, DAY)

    assert record.metrics["monitor/predictions"] == 2
    assert record.metrics["monitor/share/tech"] == 1.0
    assert record.metrics["monitor/mean_score"] == pytest.approx(0.7)
