"""The verbs of a person who is asked whether a candidate may become champion."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Annotated

import typer

from lakeloop.cli.arguments import LoopName
from lakeloop.errors import ConfigurationError

if TYPE_CHECKING:
    from lakeloop.stages.frame.session import StageContext

app = typer.Typer()
_PANEL = "Models"

Reason = Annotated[str, typer.Option(help="Why; kept in the history of the registry.")]
Day = Annotated[
    str | None,
    typer.Option(
        "--partition",
        "-p",
        metavar="YYYY-MM-DD",
        help="Of this evaluation; default: that of the open question, else the newest.",
    ),
]


Anew = Annotated[bool, typer.Option("--anew", help="Also where somebody has answered before.")]


@app.command(rich_help_panel=_PANEL)
def approve(loop: LoopName, reason: Reason, partition: Day = None, anew: Anew = False) -> None:
    """Agree that the candidate which the gate lets in becomes champion; then `release` makes it so."""
    _answer(loop, reason, partition, approved=True, anew=anew)


@app.command(rich_help_panel=_PANEL)
def reject(loop: LoopName, reason: Reason, partition: Day = None, anew: Anew = False) -> None:
    """Refuse the candidate which the gate lets in; the champion stays."""
    _answer(loop, reason, partition, approved=False, anew=anew)


@app.command(rich_help_panel=_PANEL)
def dossier(loop: LoopName, partition: Day = None) -> None:
    """Show what is to be known before a candidate is approved or rejected; runs nothing."""
    from rich.markdown import Markdown

    from lakeloop.cli.running import open_loop
    from lakeloop.local.status_view import console_for_people
    from lakeloop.stages.release.dossier import dossier as written
    from lakeloop.stages.release.dossier import subject_of
    from lakeloop.stages.release.unasked import question_now

    context = open_loop(loop, {})
    question = question_now(context, _day(context, partition))
    answered = f"{question.answer.title}\n\n" if question.answer else ""
    text = f"# {subject_of(question)}\n\n{answered}{written(context, question)}"
    console_for_people().print(Markdown(text))


def _answer(loop: str, reason: str, partition: str | None, *, approved: bool, anew: bool) -> None:
    from lakeloop.cli.running import open_loop
    from lakeloop.stages.release.approval import answer
    from lakeloop.stages.release.dossier import subject_of
    from lakeloop.stages.release.unasked import to_answer

    context = open_loop(loop, {})
    day = _day(context, partition)
    question = to_answer(context, day, anew=anew)
    typer.echo(f"{subject_of(question)} {question.decision.reason}")
    said = answer(context, question, approved=approved, by=getpass.getuser(), reason=reason)
    if said.superseded_by:
        raise ConfigurationError(
            "this question is closed",
            where=f"{loop} {day}",
            expected="the question about the newest candidate, or one that no newer candidate ended",
            found=said.title,
            remedy=f"answer to that one: lakeloop dossier {loop} --partition {said.superseded_by}; when it"
            " was rejected, this one can be approved",
        )
    typer.echo(said.title)
    typer.echo(f"next: lakeloop release {loop} --partition {day}")


def _day(context: StageContext, partition: str | None) -> str:
    from lakeloop.spec.days import require_day
    from lakeloop.stages.release.approval import open_question

    if partition is not None:
        require_day(partition, where="--partition")
        return partition
    if question := open_question(context):
        return question.day
    evaluation = context.lake.ledger.latest("evaluate", status="done")
    if evaluation is None:
        raise ConfigurationError(
            "nothing was evaluated yet",
            where=f"{context.loop.name} ledger",
            remedy=f"lakeloop run {context.loop.name}",
        )
    return evaluation.partition
