"""How far a loop is, from records alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from lakeloop.gate.decide import Decision
from lakeloop.records import Counts, StageRecord
from lakeloop.registry.history import ModelCard, ModelVersion
from lakeloop.spec.identity import training_identity
from lakeloop.stages.frame.pending import Standing, pending_work
from lakeloop.stages.frame.progress import days_of
from tests.support.records import NOON, provenance
from tests.support.small_loop import small_loop

LOOP = small_loop(train={"min_rows": 10, "min_new_rows": 5})
DAY, NEXT = "2026-11-16", "2026-11-17"
CHAMPION = ModelVersion(
    name="v1",
    digest="m1",
    card=ModelCard(
        candidate="baseline",
        method="",
        dataset_digest="d1",
        decision=Decision(accepted=None, reason="", checks=()),
    ),
    created_at=NOON,
    run_id="run",
)


def record(
    stage: str,
    partition: str,
    *,
    inputs: Mapping[str, str] | None = None,
    outputs: Mapping[str, str] | None = None,
    accepted: int | None = None,
    **fields: Any,
) -> StageRecord:
    counts = None if accepted is None else Counts(read=accepted, accepted=accepted)
    values = {"status": "done", "reason": f"{stage} done", "fingerprint": f"{stage} {partition}", **fields}
    return StageRecord(
        loop="small",
        stage=stage,
        partition=partition,
        inputs=dict(inputs or {}),
        outputs=dict(outputs or {}),
        counts=counts,
        provenance=provenance(seconds=2),
        **values,
    )


def prepared(day: str, rows: int = 10, version: str = "1") -> list[StageRecord]:
    """A day that went all the way into the mart."""
    raw, staging, mart = ({table: f"{table} {day} {version}"} for table in ("raw", "staging", "mart"))
    prefixed = {"raw": f"sha256:{raw['raw']}"}
    return [
        record("ingest", day, outputs=raw, accepted=rows),
        record("transform", day, inputs=prefixed, outputs=staging, accepted=rows),
        record("validate", day, inputs=staging, outputs=mart, accepted=rows),
    ]


def evaluated(day: str) -> list[StageRecord]:
    """A day whose candidates were evaluated."""
    return [
        record("dataset", day, inputs={f"mart/{day}": f"mart {day} 1"}, outputs={"digest": "d1"}),
        record("evaluate", day, inputs={"dataset": "d1"}, config={"training": training_identity(LOOP)}),
    ]


def released(day: str) -> list[StageRecord]:
    fingerprint = {"evaluation": f"evaluate {day}"}
    return [record("release", day, inputs=fingerprint, outputs={"version": "v1", "digest": "m1"})]


def due(entries: list[StageRecord], champion: ModelVersion | None = None) -> list[tuple[str, str, str]]:
    return [
        (step.stage, step.partition, step.reason) for step in pending_work(Standing(LOOP, entries, champion))
    ]


def test_nothing_is_due_in_an_empty_lake() -> None:
    assert due([]) == []


@pytest.mark.parametrize(
    ("done", "stage", "reason"),
    [
        (1, "transform", "10 raw rows of 2026-11-16 are not transformed"),
        (2, "validate", "10 rows of 2026-11-16 are built, not published"),
    ],
)
def test_a_day_that_stopped_half_way_is_due(done: int, stage: str, reason: str) -> None:
    assert due(prepared(DAY)[:done]) == [(stage, DAY, reason)]


def test_a_day_that_was_ingested_again_with_other_rows_is_due_from_there_on() -> None:
    entries = [*prepared(DAY, rows=4), prepared(DAY, rows=5, version="2")[0]]
    assert [(stage, day) for stage, day, _ in due(entries)] == [("transform", DAY)]
    (day,) = days_of(entries)
    assert [entry.stage for entry in day.records] == ["ingest"]
    assert day.standing == entries[2], "what was published before stands meanwhile"


def test_a_day_that_was_ingested_again_with_the_same_rows_is_not() -> None:
    assert due([*prepared(DAY, rows=4), prepared(DAY, rows=4)[0]]) == []


def test_a_skip_is_no_result() -> None:
    entries = [*prepared(DAY, rows=4), record("ingest", DAY, status="skipped")]
    assert due(entries) == []


def test_training_is_due_on_the_newest_published_day() -> None:
    entries = [*prepared(DAY, rows=6), *prepared(NEXT, rows=6)]
    ((stage, day, reason),) = due(entries)
    assert (stage, day) == ("train", NEXT)
    assert reason.startswith("first training: 12 rows")


def test_an_evaluated_candidate_waits_for_its_release() -> None:
    entries = [*prepared(DAY), *evaluated(DAY)]
    assert due(entries) == [("release", DAY, "evaluated and not decided upon: evaluate done")]


def trained(candidate: str, model: str, dataset: str = "d1") -> StageRecord:
    return record(f"train-{candidate}", DAY, inputs={"dataset": dataset}, outputs={"digest": model})


def test_a_candidate_that_was_trained_by_hand_waits_for_its_evaluation() -> None:
    frozen, evaluation = evaluated(DAY)
    first = record("evaluate", DAY, inputs={"dataset": "d1", "finetune": "m1"}, config=evaluation.config)
    done = [*prepared(DAY), frozen, trained("finetune", "m1"), first, *released(DAY)]
    assert due(done) == []
    again = [("evaluate", DAY, "trained and not evaluated: finetune")]
    assert due([*done, trained("finetune", "m2")]) == again
    assert due([*done, trained("finetune", "m2"), trained("finetune", "m1")]) == [], "it stood in one before"
    assert due([*done, trained("finetune", "m2", dataset="d0")]) == [], "it cannot be compared"
    assert due([*done, trained("gone", "m2")]) == [], "the loop file has it no more"
    seen = record("evaluate", DAY, inputs={"dataset": "d1", "finetune": "m2"}, config=evaluation.config)
    assert due([*done, trained("finetune", "m2"), seen]) == []


def test_where_a_training_is_due_on_a_newer_day_nobody_waits_for_the_older() -> None:
    done = [*prepared(DAY), evaluated(DAY)[0], trained("baseline", "m1")]
    assert [stage for stage, *_ in due(done)] == ["train", "evaluate"]
    assert [(stage, day) for stage, day, _ in due([*done, *prepared(NEXT)])] == [("train", NEXT)]


def test_a_refusal_decides() -> None:
    refusal = record("release", DAY, inputs={"evaluation": f"evaluate {DAY}"}, status="refused")
    assert due([*prepared(DAY), *evaluated(DAY), refusal]) == []


def test_days_before_the_first_one_are_left_alone_and_it_is_said_how_to_have_them() -> None:
    there = ("2026-11-10", "2026-11-12", DAY, NEXT)
    standing = Standing(LOOP, prepared(DAY), CHAMPION, days_there=there)
    assert [(step.stage, step.partition) for step in pending_work(standing)][:1] == [("ingest", NEXT)]
    assert standing.older == ["2026-11-10", "2026-11-12"]
    assert "2 day(s) with data are older" in standing.left_alone
    assert "lakeloop run small --from 2026-11-10 --to 2026-11-12" in standing.left_alone
    assert Standing(LOOP, [], None, days_there=there).left_alone == ""
    assert Standing(LOOP, prepared("2026-11-10"), CHAMPION, days_there=there).left_alone == ""


def test_an_older_evaluation_is_overtaken() -> None:
    older = record("evaluate", DAY, inputs={"dataset": "d0"}, fingerprint="older")
    assert due([older, *prepared(DAY), *evaluated(DAY), *released(DAY)]) == []


def test_a_champion_waits_for_its_rollout() -> None:
    entries = [*prepared(DAY), *evaluated(DAY), *released(DAY)]
    reason = "v1 is champion and not rolled out; nothing was rolled out yet"
    assert due(entries, CHAMPION) == [("rollout", DAY, reason)]
    entries.append(record("rollout", DAY, outputs={"digest": "m1", "version": "v1"}))
    assert due(entries, CHAMPION) == []


def test_after_a_rollback_the_old_champion_waits_again() -> None:
    entries = [
        *prepared(DAY),
        *evaluated(DAY),
        *released(DAY),
        record("rollout", NEXT, outputs={"digest": "m2", "version": "v2"}),
    ]
    assert due(entries, CHAMPION) == [
        ("rollout", DAY, "v1 is champion and not rolled out; the last roll-out was v2")
    ]


def test_a_day_that_was_reset_is_due_when_its_drop_is_there_even_the_first() -> None:
    entries = [record("ingest", DAY, status="reset"), record("ingest", NEXT, status="reset")]
    standing = Standing(LOOP, entries, None, days_there=[DAY])
    assert [(step.stage, step.partition) for step in pending_work(standing)] == [("ingest", DAY)]
    again = Standing(LOOP, [*entries, *prepared(DAY)[:1]], None, days_there=[DAY])
    assert [(step.stage, step.partition) for step in pending_work(again)] == [("transform", DAY)]
