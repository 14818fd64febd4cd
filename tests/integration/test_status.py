"""The status of a loop on a real lake: right, whole and quick."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from lakeloop.lake.ledger import _entry
from lakeloop.lake.tables import LEDGER
from lakeloop.records import Counts, StageRecord
from lakeloop.stages.frame.session import StageContext
from lakeloop.stages.frame.status import loop_status
from lakeloop.stages.release.release import release
from lakeloop.stages.training.dataset import dataset
from lakeloop.stages.training.evaluate import evaluate
from tests.support.small_loop import DAYS, mart_rows, publish, small_context, trained


def prepare(context: StageContext, day: str) -> None:
    """Records as the stages leave them: 66 lines read, 60 rows published."""
    with context.stage("ingest", day) as stage:
        stage.inputs(drop="sha256:drop")
        counts = Counts(read=66, accepted=63, quarantined=2, duplicates=1)
        stage.done(reason="ingested", outputs={"raw": f"raw {day}"}, counts=counts)
    with context.stage("transform", day) as stage:
        stage.inputs(raw=f"raw {day}")
        counts = Counts(read=63, accepted=62, duplicates=1)
        stage.done(reason="built", outputs={"staging": f"staging {day}"}, counts=counts)
    mart = publish(context, day, mart_rows(day, 60)).outputs["mart"]
    with context.stage("validate", day) as stage:
        stage.inputs(staging=f"staging {day}")
        stage.done(
            reason="published",
            outputs={"mart": mart},
            counts=Counts(read=62, accepted=60, quarantined=2),
            metrics={"checks/passed": 7.0, "checks/total": 8.0},
            links={"data_docs": "docs/index.html"},
        )


def test_an_empty_loop_has_an_empty_status(tmp_path: Path) -> None:
    status = loop_status(small_context(tmp_path))
    assert (status.stages, status.partitions, status.champion, status.decision) == ((), (), None, None)
    assert status.totals == Counts(read=0, accepted=0)


def test_the_status_says_everything_a_person_asks_first(tmp_path: Path) -> None:
    context = small_context(tmp_path)
    prepare(context, DAYS[0])
    dataset(context, DAYS[0])
    trained(context, "baseline", DAYS[0])
    trained(context, "finetune", DAYS[0], confuse={"tech": "sports"})
    evaluation = evaluate(context, DAYS[0])
    release(context, DAYS[0])
    status = loop_status(context)

    assert [stage.stage for stage in status.stages] == [
        "ingest", "transform", "validate", "dataset",
        "train-baseline", "train-finetune", "evaluate", "release",
    ]  # fmt: skip
    (day,) = status.partitions
    assert (day.read, day.accepted, day.quarantined, day.duplicates) == (66, 60, 4, 2)
    assert day.reconciled
    assert day.published
    assert (status.checks_passed, status.checks_total) == (7, 8)
    assert status.totals == Counts(read=66, accepted=60, quarantined=4, duplicates=2)
    assert status.champion is not None
    assert (status.champion.version, status.champion.candidate) == ("v1", "baseline")
    assert status.champion.score == 1.0
    assert not status.champion.rolled_out
    assert status.decision is not None
    assert status.decision.accepted
    assert "baseline with macro F1 1.0000" in status.decision.reason
    assert set(status.scores) == {"baseline", "finetune"}
    assert [step.stage for step in status.pending] == ["rollout"]
    assert status.links["report"] == evaluation.links["report"]
    assert status.links["data_docs"] == "docs/index.html"
    assert type(status).model_validate_json(status.model_dump_json()) == status


def test_a_restated_day_that_is_not_published_yet_is_said_to_stand_as_it_was(tmp_path: Path) -> None:
    context = small_context(tmp_path)
    prepare(context, DAYS[0])
    with context.stage("ingest", DAYS[0]) as stage:
        counts = Counts(read=9, accepted=9)
        stage.done(reason="restated", outputs={"raw": "other rows"}, counts=counts)
    (day,) = loop_status(context).partitions
    assert not day.published
    assert day.in_the_mart == "an earlier version; done: ingest"


def test_lost_rows_are_not_called_reconciled(tmp_path: Path) -> None:
    context = small_context(tmp_path)
    prepare(context, DAYS[0])
    with context.stage("transform", DAYS[0]) as stage:
        stage.inputs(raw=f"raw {DAYS[0]}", model="a broken one")
        counts = Counts(read=60, accepted=59, duplicates=1)
        stage.done(reason="built", outputs={"staging": f"staging {DAYS[0]}"}, counts=counts)
    (day,) = loop_status(context).partitions
    assert not day.reconciled


@pytest.mark.slow
def test_a_year_of_records_is_read_whole(tmp_path: Path) -> None:
    context = small_context(tmp_path)
    prepare(context, DAYS[0])
    records = context.lake.ledger.entries()
    rows = []
    for number in range(365):
        for one in records:
            later = one.provenance.finished_at + timedelta(seconds=number)
            provenance = one.provenance.model_copy(update={"finished_at": later})
            day = f"{2026 + number // 336}-{1 + number // 28 % 12:02}-{1 + number % 28:02}"
            copy: StageRecord = one.model_copy(update={"partition": day, "provenance": provenance})
            rows.append(_entry(f"{number}-{one.stage}-{one.fingerprint[:8]}", copy, LEDGER.empty_table()))
    table = pa.Table.from_pylist(rows, LEDGER)
    write_deltalake(context.lake.uri("ledger"), table, mode="append", partition_by=["stage"])
    assert len(loop_status(context).partitions) >= 365
