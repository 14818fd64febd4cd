"""The release stage on a real lake: what the gate lets in becomes champion, once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from deltalake import DeltaTable

from lakeloop.attempt import Attempt
from lakeloop.errors import FenceError
from lakeloop.evaluation.stored import evidence_of
from lakeloop.gate.decide import Decision
from lakeloop.records import StageRecord, now
from lakeloop.registry.decisions import decision_of
from lakeloop.registry.history import ModelCard
from lakeloop.registry.registry import Registry
from lakeloop.registry.retention import plan
from lakeloop.spec.watch import Keep
from lakeloop.stages.catalogue import stage_named
from lakeloop.stages.frame.pending import work_left
from lakeloop.stages.frame.session import StageContext
from lakeloop.stages.frame.status import loop_status
from lakeloop.stages.release.release import release
from lakeloop.stages.training.dataset import dataset
from lakeloop.stages.training.evaluate import evaluate, evaluate_again
from tests.support.number_loop import number_loop, number_rows, trained_number
from tests.support.small_loop import DAYS, mart_rows, publish, small_context, small_loop, trained
from tests.support.yesterday import Yesterday


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
    assert champion.digest == evaluation.inputs["finetune"]
    assert champion.card.evidence == evaluation.outputs["evidence_digest"]
    assert champion.card.metrics["macro_f1"] == 1.0
    assert champion.card.decision.accepted is not None
    assert context.lake.files.exists("models/v1")


def test_a_refusal_is_a_result_with_numbers_and_changes_nothing(context: StageContext) -> None:
    train_and_evaluate(context, DAYS[0], wrong=True)
    record = release(context, DAYS[0])
    assert record.status == "refused"
    assert "minimum score: 0." in record.reason
    assert "expected macro F1 at least 0.8000" in record.reason
    decision = decision_of(context.lake.files, record)
    assert decision is not None
    assert [(check.name, check.passed) for check in decision.checks] == [
        ("no leak", True),
        ("no leak by written", True),  # the texts of this loop say their answers
        ("minimum score", False),
    ]
    assert Registry(context.lake).read().length == 0
    assert record.metrics["checks/passed"] == 2.0
    assert record.metrics["checks/total"] == 3.0


def test_again_is_unchanged_and_moves_nothing(context: StageContext, tmp_path: Path) -> None:
    train_and_evaluate(context, DAYS[0])
    first = release(context, DAYS[0])
    again = release(small_context(tmp_path, attempt=Attempt("another-run")), DAYS[0])
    assert (again.status, again.outputs) == ("unchanged", first.outputs)
    assert len(Registry(context.lake).read().moves) == 1


def test_the_next_champion_leaves_the_old_one_as_previous(context: StageContext) -> None:
    train_and_evaluate(context, DAYS[0])
    release(context, DAYS[0])
    next_day(context, DAYS[1])
    train_and_evaluate(context, DAYS[1], seed=18)
    record = release(context, DAYS[1])
    assert record.outputs["version"] == "v2"
    assert "champion 1.0000" in record.reason
    previous = Registry(context.lake).read().previous
    assert previous is not None
    assert previous.name == "v1"


def test_an_equal_model_of_the_same_days_does_not_replace_the_champion(context: StageContext) -> None:
    train_and_evaluate(context, DAYS[0])
    release(context, DAYS[0])
    train_and_evaluate(context, DAYS[0], seed=18)
    record = release(context, DAYS[0])
    assert record.status == "refused"
    assert "reason to replace: 0.0000 better" in record.reason
    asked = replace(context, loop=small_loop(gate={"replace": "any"}))
    assert release(asked, DAYS[0]).outputs["version"] == "v2"


def test_the_best_version_stands_beside_later_champions_until_one_is_better(context: StageContext) -> None:
    train_and_evaluate(context, DAYS[0])
    release(context, DAYS[0])
    next_day(context, DAYS[1])
    train_and_evaluate(context, DAYS[1], seed=18)
    release(context, DAYS[1])  # as good and fresher
    history = Registry(context.lake).read()
    assert history.versions["v2"].card.decision.best == "v1"
    assert history.best == history.versions["v1"]
    next_day(context, DAYS[2])
    evaluation = train_and_evaluate(context, DAYS[2], seed=19)
    assert evaluation.inputs["best-version"] == history.versions["v1"].digest
    assert evaluation.metrics["best-version/macro_f1"] == 1.0
    evidence = evidence_of(context.lake.files, evaluation)
    assert [each.other for each in evidence.comparisons] == ["champion", "best-version"]
    assert [model.newest_day for model in evidence.models] == [DAYS[2], DAYS[2], DAYS[1], DAYS[0]]
    record = release(context, DAYS[2])
    assert record.outputs["version"] == "v3"
    assert "beside the best version v1 0.0000 better" in record.reason
    assert Registry(context.lake).read().versions["v3"].card.decision.best == "v1"
    kept = plan(
        context.lake.files,
        Registry(context.lake).read(),
        context.lake.ledger.entries(),
        Keep(versions=1),
        now() + timedelta(days=400),
    )
    assert "models/v1" in kept.staying


def test_a_best_version_that_knows_the_test_rows_is_left_out_and_that_is_said(context: StageContext) -> None:
    train_and_evaluate(context, DAYS[0])
    release(context, DAYS[0])
    next_day(context, DAYS[1])
    # Rows are dealt anew: what v1 was trained on are test rows by now, and v2 has not seen them.
    dealt = replace(context, loop=small_loop(split={"salt": "another"}))
    dataset(dealt, DAYS[1])
    train_and_evaluate(dealt, DAYS[1], seed=18)
    registry = Registry(context.lake)
    candidate = context.lake.ledger.latest("train-finetune", DAYS[1], "done")
    assert candidate is not None
    decision = Decision(accepted=None, reason="for the test", checks=(), best="v1")
    card = ModelCard(
        candidate="finetune",
        method="keywords",
        dataset_digest=candidate.inputs["dataset"],
        decision=decision,
    )
    version = registry.register_stored(candidate.outputs["artifact"], candidate.outputs["digest"], card)
    registry.promote(version.name, over="v1", reason="for the test", cause="e")
    evaluation = evaluate(dealt, DAYS[1])
    evidence = evidence_of(context.lake.files, evaluation)
    assert evidence.best is None
    assert "the best version v1 is not compared: it was trained on some of them" in evidence.note


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
    assert len(Registry(context.lake).read().moves) == 1


def test_nothing_is_decided_on_a_comparison_with_another_champion_than_there_is(
    context: StageContext,
) -> None:
    train_and_evaluate(context, DAYS[0])
    next_day(context, DAYS[1])
    before = train_and_evaluate(context, DAYS[1], seed=18)
    assert "champion" not in before.inputs
    release(context, DAYS[0])
    with pytest.raises(FenceError, match="another model became champion since") as raised:
        release(context, DAYS[1])
    assert f"lakeloop release small --partition {DAYS[1]}" in raised.value.remedy
    assert context.lake.ledger.latest("release", DAYS[1]) is None
    (due,) = [step for step in work_left(context) if step.stage == "release"]
    assert due.partition == DAYS[1]


def test_who_runs_the_stage_evaluates_again_first_when_the_champion_changed(context: StageContext) -> None:
    train_and_evaluate(context, DAYS[0])
    next_day(context, DAYS[1])
    before = train_and_evaluate(context, DAYS[1], seed=18)
    release(context, DAYS[0])
    record = stage_named("release").function(context, DAYS[1])
    assert (record.status, record.outputs["version"]) == ("done", "v2")
    assert "champion 1.0000" in record.reason
    evaluation = context.lake.ledger.latest("evaluate", DAYS[1])
    assert evaluation is not None
    assert evaluation.fingerprint == record.inputs["evaluation"] != before.fingerprint


def test_nothing_is_evaluated_again_while_the_champion_is_the_same(context: StageContext) -> None:
    assert evaluate_again(context, DAYS[0]) is None
    train_and_evaluate(context, DAYS[0])
    # Newer candidates are the business of an evaluation of their own.
    trained(context, "baseline", DAYS[0], seed=99)
    assert evaluate_again(context, DAYS[0]) is None
    assert len(context.lake.ledger.entries("evaluate")) == 1


def test_candidates_are_evaluated_again_in_the_words_of_their_own_training(context: StageContext) -> None:
    train_and_evaluate(context, DAYS[0])
    next_day(context, DAYS[1])
    first = train_and_evaluate(context, DAYS[1], seed=18)
    release(context, DAYS[0])
    other = replace(context, loop=small_loop(train={"min_rows": 30, "epochs": 7}))
    again = evaluate_again(other, DAYS[1])
    assert again is not None
    assert again.status == "done"
    assert again.config == first.config
    assert {name: again.inputs[name] for name in first.inputs} == first.inputs
    assert again.inputs["champion"] == Registry(context.lake).read().versions["v1"].digest


def test_an_evaluation_that_had_its_turn_is_not_made_again(context: StageContext) -> None:
    """The release died between the alias and the ledger: its own candidate is champion by now."""
    evaluation = train_and_evaluate(context, DAYS[0])
    release(context, DAYS[0])
    assert evaluate_again(context, DAYS[0]) is None
    newest = context.lake.ledger.latest("evaluate", DAYS[0], "done")
    assert newest is not None
    assert newest.fingerprint == evaluation.fingerprint


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


def test_of_numbers_the_smaller_error_is_released_and_a_larger_one_refused(tmp_path: Path) -> None:
    context = small_context(tmp_path, number_loop())
    publish(context, DAYS[0], number_rows(DAYS[0], 60))
    dataset(context, DAYS[0])
    trained_number(context, "baseline", DAYS[0], base=0.5)
    trained_number(context, "finetune", DAYS[0], base=0.25)
    evaluate(context, DAYS[0])
    record = release(context, DAYS[0])
    assert (record.status, record.outputs["candidate"]) == ("done", "finetune")
    assert "finetune with mean absolute error 0.2500 (baseline 0.5000) passes" in record.reason

    publish(context, DAYS[1], number_rows(DAYS[1], 60))
    dataset(context, DAYS[1])
    trained_number(context, "baseline", DAYS[1], base=0.26)
    evaluate(context, DAYS[1])
    record = release(context, DAYS[1])
    assert record.status == "refused"
    assert "no regression: 0.2600, 0.0100 worse, expected at most 0.0025 worse" in record.reason


def test_an_evaluation_that_is_older_than_evidence_is_released(tmp_path: Path) -> None:
    """An upgrade between evaluation and release: the lake of an earlier commit without what came after."""
    old = Yesterday.unpack(tmp_path)
    context = StageContext.open(old.loop, old.settings)
    day = old.last_day
    first = min(context.lake.ledger.entries("evaluate"), key=lambda record: record.provenance.finished_at)
    DeltaTable(context.lake.uri("registry")).delete()
    DeltaTable(context.lake.uri("ledger")).delete(
        f"stage IN ('release', 'rollout') OR (stage = 'evaluate' AND fingerprint <> '{first.fingerprint}')"
    )
    assert (day, "release") in {(step.partition, step.stage) for step in work_left(context)}
    scores = loop_status(context).scores
    assert scores == {name: old.expected["scores"][name] for name in ("baseline", "finetune")}
    record = release(context, day)
    assert (record.status, record.outputs["version"]) == ("done", "v1")
    assert record.outputs["digest"] == old.expected["champion"]["digest"]
    assert "baseline with macro F1 1.0000 (finetune 0.3478) passes: at least 0.5000 asked" in record.reason
    assert release(context, day).status == "unchanged"
