"""The monitor stage says what was answered on one day, and how far that is from training; no more."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from lakeloop.errors import ArtifactError
from lakeloop.lake.tables import PREDICTIONS
from lakeloop.stages.monitor import monitor
from lakeloop.stages.session import StageContext
from tests.support.serving import open_project, promote

DAY = "2026-11-20"


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StageContext:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    return open_project(tmp_path)


def log_predictions(context: StageContext, batch: str, labels: list[str], day: str = DAY) -> None:
    """One request a label; the n-th took n ms."""
    rows = [
        {
            "partition": day,
            "batch_id": batch,
            "request_id": f"{batch}-{number}",
            "predicted_at": datetime.fromisoformat(day).replace(tzinfo=UTC),
            "model_version": "v1",
            "text_sha256": "",
            "text": "a text",
            "label": label,
            "score": 0.8,
            "scores": json.dumps({label: 0.8}),
            "latency_ms": float(number),
        }
        for number, label in enumerate(labels, start=1)
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


def test_a_day_without_predictions_is_skipped_and_says_so(context: StageContext) -> None:
    promote(context, 1)

    record = monitor(context, DAY)

    assert (record.status, record.reason) == ("skipped", f"no predictions on {DAY}")


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

    with pytest.raises(ArtifactError, match="description was changed"):
        monitor(context, DAY)
