"""The release stage on a real lake: what the gate lets in becomes champion, once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lakeloop.attempt import Attempt
from lakeloop.records import StageRecord
from lakeloop.registry.registry import Registry
from lakeloop.stages.dataset import dataset
from lakeloop.stages.evaluate import evaluate
from lakeloop.stages.release import release
from lakeloop.stages.session import StageContext
from tests.support.small_loop import DAYS, mart_rows, publish, small_context, small_loop, trained


@pytest.fixture
def context(tmp_path: Path) -> StageContext:
    context = small_context(tmp_path)
    publish(context, DAYS[0], mart_rows(DAYS[0], 60))
    dataset(context, DAYS[0])
    return context


def train_and_evaluate(
    context: StageContext, day: str, *, seed: int = 17, wrong: bool = False
) -> StageRecord:
    trained(context, "baseline", day, seed=seed, confuse={"tech": "sports"})
    trained(context, "finetune", day, seed=seed, confuse={"tech": "sports"} if wrong else None)
    return evaluate(context, day)


def next_day(context: StageContext, day: str) -> None:
    publish(context, day, mart_rows(day, 60))
    dataset(context, day)


def test_the_better_candidate_becomes_the_first_champion(context: StageContext) -> None:
    evaluation = train_and_evaluate(context, DAYS[0])
    record = release(context, DAYS[0])
    assert record.status == "done"
    assert record.outputs["version"] == "v1"
    assert record.outputs["candidate"] == "finetune"
    assert record.reason.startswith("v1 became champion: finetune with macro F1 1.0000 (baseline 0.")
    assert record.links == evaluation.links
    champion = Registry(context.lake).champion()
    assert champion is not None
    assert champion.digest == evaluation.outputs["finetune"]
    assert champion.card.metrics["macro_f1"] == 1.0
    assert champion.card.decision.accepted is not None
    assert context.lake.files.exists("models/v1")


def test_a_refusal_is_a_result_with_numbers_and_changes_nothing(context: StageContext) -> None:
    train_and_evaluate(context, DAYS[0], wrong=True)
    record = release(context, DAYS[0])
    assert record.status == "refused"
    assert "minimum score: 0." in record.reason
    assert "expected macro F1 at least 0.8000" in record.reason
    assert Registry(context.lake).read().length == 0
    assert record.metrics["checks/passed"] == 0.0
    assert record.metrics["checks/total"] == 1.0


def test_again_is_unchanged_and_moves_nothing(context: StageContext, tmp_path: Path) -> None:
    train_and_evaluate(context, DAYS[0])
    first = release(context, DAYS[0])
    again = release(small_context(tmp_path, attempt=Attempt("another-run")), DAYS[0])
    assert (again.status, again.outputs) == ("unchanged", first.outputs)
    assert len(Registry(context.lake).history()) == 1


def test_the_next_champion_leaves_the_old_one_as_previous(context: StageContext) -> None:
    train_and_evaluate(context, DAYS[0])
    release(context, DAYS[0])
    next_day(context, DAYS[1])
    train_and_evaluate(context, DAYS[1], seed=18)
    record = release(context, DAYS[1])
    assert record.outputs["version"] == "v2"
    assert "champion 1.0000" in record.reason
    previous = Registry(context.lake).read().alias("previous")
    assert previous is not None
    assert previous.name == "v1"


def test_a_candidate_worse_than_the_champion_is_refused(tmp_path: Path) -> None:
    context = small_context(tmp_path, small_loop(gate={"min_score": 0.1, "max_regression": 0.01}))
    next_day(context, DAYS[0])
    train_and_evaluate(context, DAYS[0])
    release(context, DAYS[0])
    next_day(context, DAYS[1])
    train_and_evaluate(context, DAYS[1], seed=18, wrong=True)
    record = release(context, DAYS[1])
    assert record.status == "refused"
    assert "no regression: " in record.reason


def test_the_same_model_again_is_already_champion(context: StageContext) -> None:
    train_and_evaluate(context, DAYS[0])
    release(context, DAYS[0])
    evaluate(context, DAYS[0])  # with the champion as another input: a new evaluation of the same models
    record = release(context, DAYS[0])
    assert record.status == "refused"
    assert "is already champion" in record.reason
    assert len(Registry(context.lake).history()) == 1


def test_candidates_are_evaluated_again_when_the_champion_changed_meanwhile(context: StageContext) -> None:
    train_and_evaluate(context, DAYS[0])
    next_day(context, DAYS[1])
    before = train_and_evaluate(context, DAYS[1], seed=18)
    assert "champion" not in before.inputs
    release(context, DAYS[0])
    record = release(context, DAYS[1])
    assert (record.status, record.outputs["version"]) == ("done", "v2")
    assert "champion 1.0000" in record.reason
    evaluation = context.lake.ledger.latest("evaluate", DAYS[1])
    assert evaluation is not None
    assert evaluation.fingerprint == record.inputs["evaluation"] != before.fingerprint


def test_a_rollback_is_not_undone_by_a_retry(context: StageContext) -> None:
    train_and_evaluate(context, DAYS[0])
    release(context, DAYS[0])
    next_day(context, DAYS[1])
    train_and_evaluate(context, DAYS[1], seed=18)
    release(context, DAYS[1])
    Registry(context.lake).rollback("answers look wrong")
    assert release(context, DAYS[1]).status == "unchanged"
    # Other rules make it other work, and the evaluation has had its turn all the same.
    stricter = replace(context, loop=small_loop(gate={"min_score": 0.4}))
    again = release(stricter, DAYS[1])
    assert (again.status, again.reason) == (
        "skipped",
        "this evaluation made v2 champion before; by now it is v1",
    )
    champion = Registry(context.lake).champion()
    assert champion is not None
    assert champion.name == "v1"


def test_a_release_that_was_carried_out_keeps_its_reason_under_other_rules(context: StageContext) -> None:
    train_and_evaluate(context, DAYS[0])
    first = release(context, DAYS[0])
    again = release(replace(context, loop=small_loop(gate={"min_score": 1.0})), DAYS[0])
    assert (again.status, again.reason) == ("done", first.reason)
    assert again.metrics == first.metrics


def test_nothing_evaluated_is_a_skip(context: StageContext) -> None:
    assert release(context, DAYS[0]).reason == "no candidate was evaluated for 2026-11-16"
