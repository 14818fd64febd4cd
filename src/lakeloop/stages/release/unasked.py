"""The question about a day as it stands, to be shown or answered, and why nothing is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lakeloop.errors import ConfigurationError
from lakeloop.stages.frame.session import StageContext
from lakeloop.stages.release.approval import Question, question_of

if TYPE_CHECKING:
    from lakeloop.records import StageRecord


def question_now(context: StageContext, partition: str) -> Question:
    """The question about the newest evaluation of a day, answered or not. Nothing is evaluated for it.

    Raises:
        ConfigurationError: there is none, and why.
    """
    evaluation = context.lake.ledger.latest("evaluate", partition, "done")
    question = question_of(context, evaluation) if evaluation else None
    if question is None:
        raise _nothing_asked(context, partition, **_why(context, evaluation, partition))
    return question


def to_answer(context: StageContext, partition: str, *, anew: bool = False) -> Question:
    """The question that a person answers; one that was answered only where it is asked `anew`.

    That a newer candidate ended it is told by the answer.

    Raises:
        ConfigurationError: nothing is asked, and what was answered by whom.
    """
    question = question_now(context, partition)
    given = question.answer
    if given is None or given.superseded_by or anew:
        return question
    verdict = "approved" if given.approved else "rejected"
    raise _nothing_asked(
        context,
        partition,
        found=f"{partition} was {verdict} by {given.by or 'nobody in time'} at"
        f" {given.answered_at:%Y-%m-%d %H:%M} UTC: {given.reason}",
        remedy=f"to answer anew: lakeloop approve {context.loop.name} --partition {partition} --anew"
        ' --reason "…" (or reject)',
    )


def _why(context: StageContext, evaluation: StageRecord | None, partition: str) -> dict[str, Any]:
    from lakeloop.registry.registry import Registry
    from lakeloop.spec.train import CHAMPION

    name = context.loop.name
    if context.loop.approval.kind != "human":
        return {"found": f"approval: {context.loop.approval.kind}", "remedy": "the gate decides by itself"}
    if evaluation is None:
        return {"found": f"nothing was evaluated for {partition}", "remedy": f"lakeloop run {name}"}
    history = Registry(context.lake, context.attempt).read()
    if moved := history.made_champion_by(evaluation.fingerprint):
        found = f"{partition} made {moved.version} champion at {moved.moved_at:%Y-%m-%d %H:%M} UTC"
        return {"found": found, "remedy": f"to have that version again: lakeloop promote {name} …"}
    if answer := history.answer_to(evaluation.fingerprint):
        found = f"{partition} was {answer.title}, at {answer.answered_at:%Y-%m-%d %H:%M} UTC"
    else:
        found = f"{partition}: the gate refuses its candidates"
    champion = history.alias("champion")
    if evaluation.inputs.get(CHAMPION) != (champion.digest if champion else None):
        now = champion.name if champion else "none"
        return {
            "found": f"{found if answer else partition}; by now the champion is another, {now}",
            "remedy": "to evaluate beside that one and ask anew:"
            f" lakeloop release {name} --partition {partition}",
        }
    return {"found": found, "remedy": f"lakeloop why {name} says what the gate decided"}


def _nothing_asked(context: StageContext, partition: str, *, found: str, remedy: str) -> ConfigurationError:
    return ConfigurationError(
        "nothing is asked",
        where=f"{context.loop.name} {partition}",
        expected="approval: human in the loop file, and a candidate that the gate lets in",
        found=found,
        remedy=remedy,
    )
