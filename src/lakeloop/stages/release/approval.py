"""A person's word on a candidate that the gate lets in, where the loop file asks for one.

Asked is in Airflow (task `approve`) or on the command line; the answer is an event of the registry before
anything follows from it, and `lakeloop.stages.release.release` acts on that alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lakeloop.errors import ConfigurationError
from lakeloop.evidence import Evidence, ModelEvidence
from lakeloop.stages.frame.session import StageContext

if TYPE_CHECKING:
    from lakeloop.gate.decide import Decision
    from lakeloop.records import StageRecord
    from lakeloop.registry.history import Answer, ModelVersion


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


def question_of(context: StageContext, evaluation: StageRecord) -> Question | None:
    """What is to be asked about this evaluation.

    None where nobody is: the loop file asks for no approval, the gate refuses by itself, the champion is
    another than was compared with, or the evaluation has made a champion before.

    Raises:
        ArtifactError: the evidence is not what was stored.
    """
    from lakeloop.evaluation.stored import evidence_of
    from lakeloop.gate.decide import decide
    from lakeloop.registry.registry import Registry

    if context.loop.approval.kind != "human":
        return None
    history = Registry(context.lake, context.attempt).read()
    evidence, champion = evidence_of(context.lake.files, evaluation), history.alias("champion")
    compared = evidence.champion.digest if evidence.champion else None
    if history.made_champion_by(evaluation.fingerprint) or compared != (champion and champion.digest):
        return None
    decision = decide(evidence, context.loop)
    if decision.accepted is None:
        return None
    candidate = evidence.model(decision.accepted.name)
    answer = history.answer_to(evaluation.fingerprint, candidate.digest)
    return Question(evaluation, evidence, decision, candidate, champion, answer)


def newest_question(context: StageContext, partition: str) -> Question | None:
    """What is to be asked about the newest evaluation of a day, after it was made again where that is due.

    Raises:
        LakeloopError: see `evaluate` and `question_of`.
    """
    from lakeloop.stages.training.evaluate import evaluate_again

    evaluate_again(context, partition)
    evaluation = context.lake.ledger.latest("evaluate", partition, "done")
    return question_of(context, evaluation) if evaluation else None


def answer(context: StageContext, question: Question, *, approved: bool, by: str, reason: str) -> Answer:
    """Keep an answer to `question`.

    Raises:
        ConfigurationError: the loop file names others who may answer, or no reason is given.
        FenceError: another writer changed the registry meanwhile; try again.
    """
    from lakeloop.registry.registry import Registry

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
    registry = Registry(context.lake, context.attempt)
    return registry.answer(
        question.evaluation.fingerprint, question.candidate.digest, approved=approved, by=by, reason=reason
    )
