"""A person's word on a candidate that the gate lets in, where the loop file asks for one.

Asked is in Airflow (task `approve`) or on the command line; the answer is an event of the registry before
anything follows from it, and `lakeloop.stages.release.release` acts on that alone. One question of a loop is
open at a time: that of a newer candidate ends those before it, unless somebody has answered them. Whose event
is first in the registry stands.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random

from lakeloop.errors import ArtifactError, ConfigurationError, FenceError
from lakeloop.evidence import Evidence, ModelEvidence
from lakeloop.spec.reading.load import load_loop
from lakeloop.stages.frame.session import StageContext

if TYPE_CHECKING:
    from lakeloop.gate.decide import Decision
    from lakeloop.records import StageRecord
    from lakeloop.registry.history import Answer, History, ModelVersion
    from lakeloop.registry.registry import Registry

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Question:
    """What a person is asked: whether this candidate may become champion."""

    evaluation: StageRecord
    evidence: Evidence
    decision: Decision
    candidate: ModelEvidence
    champion: ModelVersion | None
    answer: Answer | None
    """The newest; None before the first."""
    tried_first: bool = False
    """It is tried beside the champion before it takes its place, see `deploy`."""

    @property
    def day(self) -> str:
        return self.evaluation.partition

    @property
    def open(self) -> bool:
        """Whether somebody is still to answer."""
        return self.answer is None


def question_of(context: StageContext, evaluation: StageRecord) -> Question | None:
    """What is to be asked about this evaluation.

    None where nobody is: the loop file asks for no approval, the gate refuses by itself, the champion is
    another than was compared with, or the evaluation has made a champion before.

    Raises:
        ArtifactError: the evidence is not what was stored.
    """
    if context.loop.approval.kind != "human":
        return None
    return _question(context, evaluation, _registry(context).read())


def _question(context: StageContext, evaluation: StageRecord, history: History) -> Question | None:
    from lakeloop.evaluation.stored import evidence_of
    from lakeloop.gate.decide import decide

    evidence, champion = evidence_of(context.lake.files, evaluation), history.alias("champion")
    if history.made_champion_by(evaluation.fingerprint) or not _compared_with(champion, evidence):
        return None
    decision = decide(evidence, context.loop)
    if decision.accepted is None:
        return None
    candidate = evidence.model(decision.accepted.name)
    answer = history.answer_to(evaluation.fingerprint, candidate.digest)
    tried_first = champion is not None and context.loop.deploy.tried_first
    return Question(evaluation, evidence, decision, candidate, champion, answer, tried_first)


def _compared_with(champion: ModelVersion | None, evidence: Evidence) -> bool:
    compared = evidence.champion.digest if evidence.champion else None
    return compared == (champion.digest if champion else None)


def newest_question(context: StageContext, partition: str) -> Question | None:
    """What is to be asked about the newest evaluation of a day, after it was made again where that is due.

    Raises:
        LakeloopError: see `evaluate` and `question_of`.
    """
    from lakeloop.stages.training.evaluate import evaluate_again

    evaluate_again(context, partition)
    evaluation = context.lake.ledger.latest("evaluate", partition, "done")
    return question_of(context, evaluation) if evaluation else None


def question_about(context: StageContext, evaluation: str) -> Question | None:
    """As `question_of`, of the evaluation with this fingerprint; None, too, where it is gone."""
    record = _evaluation(context, evaluation)
    return question_of(context, record) if record else None


def newer_question(context: StageContext, evaluation: StageRecord) -> Question | None:
    """The newest open question about a candidate that is newer than those of `evaluation`; None without one.

    Newer is that of a later day, and that of a later evaluation of the same day. By the rules of the loop
    file: what one run changed of them says nothing of other days.
    """
    return next(_open_questions(context, evaluation, newer=True), None)


def prepare(context: StageContext, partition: str) -> None:
    """Bring up to date what `release` decides on: the evaluation of a day, and which question is open.

    Raises:
        LakeloopError: see `newest_question` and `take_turn`.
    """
    question = newest_question(context, partition)
    if question and question.open:
        take_turn(context, question)


def take_turn(context: StageContext, question: Question) -> Answer | None:
    """Leave one question open, of `question`, which is, and the others: that about the newest candidate.

    Returns what stands of `question` where that is not the one: that it was superseded, or an answer that was
    first. None where it is; those about older candidates are ended.

    Raises:
        FenceError: another writer changes the registry again and again.
    """
    if newer := newer_question(context, question.evaluation):
        return _supersede(context, question, newer)
    for older in list(_open_questions(context, question.evaluation, newer=False)):
        _supersede(context, older, question)
    return None


def _supersede(context: StageContext, older: Question, newer: Question) -> Answer:
    ended = _standing(
        lambda: _registry(context).supersede(
            older.evaluation.fingerprint,
            older.candidate.digest,
            newer=newer.evaluation.fingerprint,
            day=newer.day,
        )
    )
    log.info("%s %s: %s", context.loop.name, older.day, ended.title)
    return ended


def over(context: StageContext, evaluation: str, candidate: str) -> str:
    """Why nobody needs to answer the question about a candidate any more; empty while it stands.

    Args:
        context: of the loop, of no run: nothing is written.
        evaluation: fingerprint of the evaluation that the candidate stood in.
        candidate: digest of its artifact.
    """
    from lakeloop.evaluation.stored import evidence_of

    history = _registry(context).read()
    if answer := history.answer_to(evaluation, candidate):
        return answer.title
    record = _evaluation(context, evaluation)
    if record is None:
        return ""
    if not _compared_with(history.alias("champion"), evidence_of(context.lake.files, record)):
        return "another model became champion meanwhile"
    newer = newer_question(context, record)
    return f"a newer candidate, of {newer.day}, is asked about" if newer else ""


def open_question(context: StageContext) -> Question | None:
    """The newest question of a loop that nobody has answered; None without one. Nothing is evaluated."""
    return next(_open(context, lambda _: True), None)


def _open_questions(context: StageContext, evaluation: StageRecord, *, newer: bool) -> Iterator[Question]:
    """Open questions of other candidates than those of `evaluation`, the newest first."""
    ours = evaluation.partition
    return _open(
        context,
        lambda other: (
            other.fingerprint != evaluation.fingerprint
            and (other.partition >= ours if newer else other.partition < ours)
        ),
    )


def _open(context: StageContext, wanted: Callable[[StageRecord], bool]) -> Iterator[Question]:
    """Open questions about `wanted` evaluations, the newest day first.

    A day has that of its newest evaluation. Most have been decided upon, which the ledger says: the evidence
    of the others alone is read.
    """
    if context.loop.approval.kind != "human":
        return
    if context.changes:
        loop = load_loop(context.settings.loop_file(context.loop.name), context.settings)
        context = replace(context, loop=loop, changes={})
    history, ledger = _registry(context).read(), context.lake.ledger
    decided = {entry.inputs.get("evaluation") for entry in ledger.entries("release")}
    newest = {entry.partition: entry for entry in ledger.entries("evaluate", status="done")}
    for day in sorted(newest, reverse=True):
        other = newest[day]
        if other.fingerprint in decided or not wanted(other):
            continue
        try:
            found = _question(context, other, history)
        except ArtifactError as error:
            log.warning("nobody is asked about %s: %s", day, error)
            continue
        if found and found.open:
            yield found


def answer(context: StageContext, question: Question, *, approved: bool, by: str, reason: str) -> Answer:
    """Keep an answer to `question`; returns what stands, see `Registry.answer`.

    Raises:
        ConfigurationError: the loop file names others who may answer, or no reason is given.
        FenceError: another writer changes the registry again and again.
    """
    users = context.loop.approval.users
    if by and users and by not in users:
        raise ConfigurationError(
            "this user may not answer",
            where=f"{context.loop.name} approval.users",
            expected=", ".join(users),
            found=by,
            remedy="have one of them answer, in Airflow after the task `approve` was cleared; or add the user"
            " to the loop file",
        )
    evaluation, candidate = question.evaluation.fingerprint, question.candidate.digest
    return _standing(
        lambda: _registry(context).answer(evaluation, candidate, approved=approved, by=by, reason=reason)
    )


@retry(
    retry=retry_if_exception_type(FenceError),
    stop=stop_after_attempt(5),
    wait=wait_random(0.1, 1.0),
    reraise=True,
)
def _standing(keep: Callable[[], Answer]) -> Answer:
    """What stands after `keep`, which reads the registry anew each time: another writer is no refusal."""
    return keep()


def _registry(context: StageContext) -> Registry:
    from lakeloop.registry.registry import Registry

    return Registry(context.lake, context.attempt)


def _evaluation(context: StageContext, fingerprint: str) -> StageRecord | None:
    entries = reversed(context.lake.ledger.entries("evaluate", status="done"))
    return next((entry for entry in entries if entry.fingerprint == fingerprint), None)
