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
    typer.Option("--partition", "-p", metavar="YYYY-MM-DD", help="Of this evaluation; default: the newest."),
]


@app.command(rich_help_panel=_PANEL)
def approve(loop: LoopName, reason: Reason, partition: Day = None) -> None:
    """Agree that the candidate which the gate lets in becomes champion; then `release` makes it so."""
    _answer(loop, reason, partition, approved=True)


@app.command(rich_help_panel=_PANEL)
def reject(loop: LoopName, reason: Reason, partition: Day = None) -> None:
    """Refuse the candidate which the gate lets in; the champion stays."""
    _answer(loop, reason, partition, approved=False)


@app.command(rich_help_panel=_PANEL)
def dossier(loop: LoopName, partition: Day = None) -> None:
    """Show what is to be known before a candidate is approved or rejected."""
    from rich.markdown import Markdown

    from lakeloop.cli.running import open_loop
    from lakeloop.local.status_view import console_for_people
    from lakeloop.stages.release.approval import newest_question
    from lakeloop.stages.release.dossier import dossier as written
    from lakeloop.stages.release.dossier import subject_of

    context = open_loop(loop, {})
    question = newest_question(context, _day(context, partition))
    if question is None:
        typer.echo(f"{loop} asks nobody: see lakeloop why {loop}")
        return
    text = f"# {subject_of(question)}\n\n{written(context, question)}"
    console_for_people().print(Markdown(text))


def _answer(loop: str, reason: str, partition: str | None, *, approved: bool) -> None:
    from lakeloop.cli.running import open_loop
    from lakeloop.stages.release.approval import answer, newest_question
    from lakeloop.stages.release.dossier import subject_of

    context = open_loop(loop, {})
    day = _day(context, partition)
    question = newest_question(context, day)
    if question is None:
        raise ConfigurationError(
            "there is no candidate to answer to",
            where=f"{loop} {day}",
            expected="approval: human in the loop file, and a candidate that the gate lets in",
            found=f"approval: {context.loop.approval.kind}",
            remedy=f"lakeloop why {loop} says what the gate decided",
        )
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
    typer.echo(f"{subject_of(question)} {said.title}")
    typer.echo(f"next: lakeloop release {loop} --partition {day}")


def _day(context: StageContext, partition: str | None) -> str:
    from lakeloop.spec.days import require_day

    if partition is not None:
        require_day(partition, where="--partition")
        return partition
    evaluation = context.lake.ledger.latest("evaluate", status="done")
    if evaluation is None:
        raise ConfigurationError(
            "nothing was evaluated yet",
            where=f"{context.loop.name} ledger",
            remedy=f"lakeloop run {context.loop.name}",
        )
    return evaluation.partition
