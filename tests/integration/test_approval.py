"""A person's word before a release, on a real lake: asked, given, kept, and acted on once."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from lakeloop_ui.health import health_of

from lakeloop.errors import ConfigurationError
from lakeloop.records import StageRecord
from lakeloop.registry.decisions import decision_of
from lakeloop.registry.registry import Registry
from lakeloop.stages.catalogue import stage_named
from lakeloop.stages.frame.pending import work_left
from lakeloop.stages.frame.session import StageContext
from lakeloop.stages.frame.status import loop_status
from lakeloop.stages.release.approval import Question, answer, newest_question, over, take_turn
from lakeloop.stages.release.dossier import dossier, subject_of
from lakeloop.stages.release.release import release
from lakeloop.stages.release.unasked import question_now, to_answer
from lakeloop.stages.training.dataset import dataset
from lakeloop.stages.training.evaluate import evaluate
from tests.support.small_loop import DAYS, mart_rows, publish, small_context, small_loop, trained


def judged(context: StageContext, day: str, *, seed: int = 17, wrong: bool = False) -> None:
    publish(context, day, mart_rows(day, 60))
    dataset(context, day)
    trained(context, "baseline", day, seed=seed, confuse={"tech": "sports"})
    trained(context, "finetune", day, seed=seed, confuse={"tech": "sports"} if wrong else None)
    evaluate(context, day)


@pytest.fixture
def context(tmp_path: Path) -> StageContext:
    context = small_context(tmp_path, small_loop(approval="human"))
    judged(context, DAYS[0])
    return context


def asked(context: StageContext, day: str = DAYS[0]) -> Question:
    question = newest_question(context, day)
    assert question is not None
    return question


def test_until_somebody_answers_nothing_is_released_and_the_day_waits(context: StageContext) -> None:
    record = release(context, DAYS[0])
    assert record.status == "skipped"
    assert record.reason.startswith("waits for a person: finetune with macro F1 1.0000")
    assert "lakeloop approve small" in record.outputs["to_do"]
    assert Registry(context.lake).champion() is None
    (due,) = [step for step in work_left(context) if step.stage == "release"]
    assert due.partition == DAYS[0]


def test_who_approves_when_and_why_is_kept_with_the_version(context: StageContext) -> None:
    release(context, DAYS[0])
    said = answer(context, asked(context), approved=True, by="ada", reason="looks right")
    assert said.title == "approved by ada: looks right"
    record = release(context, DAYS[0])
    assert (record.status, record.outputs["version"]) == ("done", "v1")
    assert "approved by ada: looks right" in record.reason
    history = Registry(context.lake).read()
    assert history.versions["v1"].card.answer == said
    assert history.moves[0].reason.startswith("approved by ada: looks right; finetune with macro F1")
    assert release(context, DAYS[0]).status == "unchanged"
    assert newest_question(context, DAYS[0]) is None


def test_a_rejected_candidate_is_refused_and_may_be_approved_later(context: StageContext) -> None:
    answer(context, asked(context), approved=False, by="ada", reason="sports looks odd")
    record = release(context, DAYS[0])
    assert record.status == "refused"
    assert record.reason.startswith("rejected by ada: sports looks odd; finetune")
    assert not [step for step in work_left(context) if step.stage == "release"]
    answer(context, asked(context), approved=True, by="bob", reason="talked it over")
    assert release(context, DAYS[0]).outputs["version"] == "v1"


def test_the_end_of_the_time_is_an_answer_of_nobody(context: StageContext) -> None:
    said = answer(context, asked(context), approved=False, by="", reason="approval.otherwise")
    assert said.title == "rejected by nobody in time: approval.otherwise"


def test_only_those_whom_the_loop_file_names_may_answer(context: StageContext) -> None:
    named = replace(context, loop=small_loop(approval={"kind": "human", "users": ["ada", "bob"]}))
    with pytest.raises(ConfigurationError, match="may not answer") as raised:
        answer(named, asked(named), approved=True, by="eve", reason="me")
    assert raised.value.expected == "ada, bob"
    assert answer(named, asked(named), approved=True, by="bob", reason="yes").approved
    assert Registry(context.lake).read().answers[-1].by == "bob"


def test_an_answer_without_a_reason_is_none(context: StageContext) -> None:
    with pytest.raises(ConfigurationError, match="reason"):
        answer(context, asked(context), approved=True, by="ada", reason=" ")


def test_nobody_is_asked_about_what_the_gate_refuses_or_where_the_file_asks_for_none(tmp_path: Path) -> None:
    context = small_context(tmp_path, small_loop(approval="human"))
    judged(context, DAYS[0], wrong=True)
    assert newest_question(context, DAYS[0]) is None
    assert release(context, DAYS[0]).status == "refused"
    (tmp_path / "other").mkdir()
    other = small_context(tmp_path / "other", small_loop())
    judged(other, DAYS[0])
    assert newest_question(other, DAYS[0]) is None
    assert release(other, DAYS[0]).status == "done"


def test_an_answer_is_to_one_comparison_and_another_champion_asks_anew(context: StageContext) -> None:
    judged(context, DAYS[1], seed=18)
    answer(context, asked(context, DAYS[1]), approved=True, by="ada", reason="compared with none")
    answer(context, asked(context), approved=True, by="ada", reason="first")
    release(context, DAYS[0])
    record = stage_named("release").function(context, DAYS[1])
    assert record.reason.startswith("waits for a person")
    assert asked(context, DAYS[1]).answer is None


_FILE = {
    "name": "small",
    "source": {
        "kind": "files",
        "path": "drops/{partition}.jsonl",
        "key": "id",
        "columns": {"id": "string", "text": "string", "label": "string"},
    },
    "task": {"text": "text", "label": "label", "labels": ["business", "sports", "tech"]},
    "train": {"min_rows": 30, "min_new_rows": 20},
    "gate": {"min_score": 0.8, "max_regression": 0.01},
    "approval": "human",
}


def released(context: StageContext, day: str) -> StageRecord:
    record: StageRecord = stage_named("release").function(context, day)
    return record


def is_over(context: StageContext, question: Question) -> str:
    return over(context, question.evaluation.fingerprint, question.candidate.digest)


def test_a_newer_candidate_that_the_gate_lets_in_ends_the_question_about_an_older_one(
    context: StageContext,
) -> None:
    older = asked(context)
    assert is_over(context, older) == ""
    judged(context, DAYS[1], seed=18)
    assert is_over(context, older) == f"a newer candidate, of {DAYS[1]}, is asked about"
    assert is_over(context, asked(context, DAYS[1])) == ""
    assert Registry(context.lake).read().answers == ()  # to look is to write nothing
    record = released(context, DAYS[0])
    assert record.status == "skipped"
    title = f"superseded by the candidate of {DAYS[1]}"
    assert record.reason.startswith(f"{title}, automatically; neither approved nor rejected: finetune with")
    assert record.outputs["superseded_by"] == DAYS[1]
    decision = decision_of(context.lake.files, record)
    assert decision is not None
    assert decision.accepted is not None
    (ended,) = Registry(context.lake).read().answers
    assert (ended.title, ended.by, ended.approved) == (title, "", False)
    assert is_over(context, older) == title
    assert released(context, DAYS[1]).reason.startswith("waits for a person")
    assert asked(context, DAYS[1]).open
    assert [step.partition for step in work_left(context) if step.stage == "release"] == [DAYS[1]]
    answer(context, asked(context, DAYS[1]), approved=True, by="ada", reason="the newer")
    assert released(context, DAYS[1]).outputs["version"] == "v1"


def test_the_release_of_the_newer_day_ends_the_older_questions_too(context: StageContext) -> None:
    judged(context, DAYS[1], seed=18)
    assert released(context, DAYS[1]).reason.startswith("waits for a person")
    (ended,) = Registry(context.lake).read().answers
    assert (ended.superseded_by, ended.candidate) == (DAYS[1], asked(context).candidate.digest)


def test_a_candidate_that_the_gate_refuses_or_that_is_rejected_supersedes_nothing(
    context: StageContext,
) -> None:
    judged(context, DAYS[1], seed=18, wrong=True)
    older = asked(context)
    assert (newest_question(context, DAYS[1]), is_over(context, older)) == (None, "")
    assert take_turn(context, older) is None
    judged(context, DAYS[2], seed=19)
    answer(context, asked(context, DAYS[2]), approved=False, by="ada", reason="odd")
    assert is_over(context, older) == ""
    assert released(context, DAYS[0]).reason.startswith("waits for a person")


def test_what_one_run_changed_of_the_gate_lets_no_other_day_in(context: StageContext) -> None:
    file = context.settings.loop_file("small")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(_FILE))  # which is YAML, too
    judged(context, DAYS[1], seed=18, wrong=True)
    lax = small_loop(approval="human", gate={"min_score": 0.1})
    changed = replace(context, loop=lax, changes={"gate.min_score": 0.1})
    assert take_turn(changed, asked(changed)) is None


@pytest.mark.parametrize("approved", [True, False])
def test_an_answer_that_was_first_stands(context: StageContext, *, approved: bool) -> None:
    older = asked(context)
    judged(context, DAYS[1], seed=18)
    said = answer(context, older, approved=approved, by="ada", reason="as I said")
    newer = asked(context, DAYS[1])
    for standing in (
        Registry(context.lake).supersede(
            older.evaluation.fingerprint,
            older.candidate.digest,
            newer=newer.evaluation.fingerprint,
            day=DAYS[1],
        ),
        answer(context, older, approved=not approved, by="", reason="approval.otherwise"),
    ):
        assert standing == said
    assert take_turn(context, newer) is None
    assert Registry(context.lake).read().answers == (said,)
    assert released(context, DAYS[0]).status == ("done" if approved else "refused")


def test_an_answer_after_the_question_was_superseded_is_none_until_the_newer_was_rejected(
    context: StageContext,
) -> None:
    older = asked(context)
    judged(context, DAYS[1], seed=18)
    ended = take_turn(context, older)
    assert ended is not None
    assert answer(context, older, approved=True, by="ada", reason="too late") == ended
    assert answer(context, older, approved=True, by="", reason="approval.otherwise") == ended
    answer(context, asked(context, DAYS[1]), approved=False, by="ada", reason="odd")
    said = answer(context, older, approved=True, by="ada", reason="then the older")
    assert said.title == "approved by ada: then the older"
    assert released(context, DAYS[0]).outputs["version"] == "v1"


def test_of_an_answer_and_a_newer_candidate_at_one_moment_one_is_kept(context: StageContext) -> None:
    older = asked(context)
    judged(context, DAYS[1], seed=18)
    with ThreadPoolExecutor(2) as both:
        said = both.submit(answer, context, older, approved=True, by="ada", reason="yes")
        ended = both.submit(take_turn, context, older)
    (kept,) = Registry(context.lake).read().answers
    assert said.result() == ended.result() == kept


def test_a_question_about_another_champion_is_over(context: StageContext) -> None:
    judged(context, DAYS[1], seed=18)
    newer = asked(context, DAYS[1])
    answer(context, asked(context), approved=True, by="ada", reason="the older")
    released(context, DAYS[0])
    assert is_over(context, newer) == "another model became champion meanwhile"


def test_the_dossier_says_what_a_person_needs(context: StageContext) -> None:
    first = asked(context)
    assert subject_of(first) == f"small {DAYS[0]}: finetune as champion?"
    answer(context, first, approved=True, by="ada", reason="first")
    release(context, DAYS[0])
    judged(context, DAYS[1], seed=18)
    question = asked(context, DAYS[1])
    assert subject_of(question) == f"small {DAYS[1]}: finetune as champion in place of v1?"
    tried = replace(question, tried_first=True)
    assert subject_of(tried) == f"small {DAYS[1]}: begin the trial of finetune beside v1?"
    told = dossier(context, question, {"Evaluation report": "[Evaluation report](/report)"})
    assert told.endswith("### More\n* [Evaluation report](/report)")
    text = dossier(context, question)
    assert "| macro F1 | 1.0000 | 1.0000 |" in text
    assert "* Beside the champion v1: 0.0000 better by macro_f1 (90 % interval +0.0000 to +0.0000)" in text
    assert f"days up to {DAYS[1]}" in text
    assert f"* The champion: data set `{question.champion.card.dataset_digest[:12]}`" in text  # type: ignore[union-attr]
    assert "* `seed`: 17 → 18" in text or "* `settings.seed`: 17 → 18" in text
    assert "* report: " in text


def test_a_question_that_waits_is_what_the_status_says_and_not_work_that_is_left(
    context: StageContext,
) -> None:
    status = loop_status(context)
    assert status.asked is not None
    assert (status.asked.partition, status.asked.candidate, status.asked.over) == (DAYS[0], "finetune", "")
    assert "release" not in {step.stage for step in status.pending}
    (reason,) = (each for each in health_of(status).reasons if each.startswith("An approval waits"))
    assert f"{DAYS[0]}, candidate finetune, no champion yet, since 20" in reason
    answer(context, asked(context), approved=True, by="ada", reason="looks right")
    status = loop_status(context)
    assert status.asked is None
    assert "release" in {step.stage for step in status.pending}, "what was answered is to be carried out"
    release(context, DAYS[0])
    judged(context, DAYS[1], seed=18)
    assert (found := loop_status(context).asked)
    assert "beside champion v1, since" in found.what


def test_an_answer_is_to_what_is_asked_and_looking_evaluates_nothing(context: StageContext) -> None:
    assert to_answer(context, DAYS[0]).open
    answer(context, asked(context), approved=False, by="ada", reason="sports looks odd")
    with pytest.raises(ConfigurationError, match="nothing is asked") as refused:
        to_answer(context, DAYS[0])
    assert refused.value.found.startswith(f"{DAYS[0]} was rejected by ada at 20")
    assert "--anew" in refused.value.remedy
    assert question_now(context, DAYS[0]).answer
    assert to_answer(context, DAYS[0], anew=True).answer
    judged(context, DAYS[1], seed=18)
    answer(context, asked(context, DAYS[1]), approved=True, by="ada", reason="better")
    release(context, DAYS[1])
    before = [entry.fingerprint for entry in context.lake.ledger.entries("evaluate")]
    with pytest.raises(ConfigurationError, match="by now the champion is another, v1") as refused:
        question_now(context, DAYS[0])
    assert refused.value.remedy.endswith(f"lakeloop release small --partition {DAYS[0]}")
    with pytest.raises(ConfigurationError, match="made v1 champion"):
        to_answer(context, DAYS[1])
    assert [entry.fingerprint for entry in context.lake.ledger.entries("evaluate")] == before
