"""The verb that says which words an answer hangs on."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from lakeloop.cli.arguments import LoopName
from lakeloop.errors import ConfigurationError
from lakeloop.spec.explaining import GRADIENTS, OCCLUSION, Explain

if TYPE_CHECKING:
    from lakeloop.inference.occlusion import Part

app = typer.Typer()
_HEADINGS = {OCCLUSION: ("without", "says so much less"), GRADIENTS: ("word", "adds")}


@app.command(rich_help_panel="Models")
def explain(
    loop: LoopName,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What the model is asked.")],
    pair: Annotated[
        str | None, typer.Option(metavar="TEXT", help="The second text, where the model reads one.")
    ] = None,
    version: Annotated[
        str | None, typer.Option(metavar="VERSION", help="Of the registry; default: the champion.")
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(get_args(Explain)), help="Default: `evaluate.explain` of the loop file."
        ),
    ] = None,
) -> None:
    """Answer a text, and say which of its words the answer hangs on.

    By occlusion: how much less the model says it without each; by integrated gradients: what each adds.
    """
    from lakeloop.cli.running import open_loop, working
    from lakeloop.cli.score import version_of
    from lakeloop.inference.explaining import explained
    from lakeloop.inference.predictor import Predictor
    from lakeloop.scratch.folder import passing_folder
    from lakeloop.tasks.reading import Instance
    from lakeloop.tasks.registry import task_class

    _require_texts(loop, text, pair)
    context = open_loop(loop, {})
    way = _way(by or context.loop.evaluate.explain)
    found, row = version_of(context, version), Instance(text, pair)
    with passing_folder(context.settings.home, "explain") as scratch, working("asking the model"):
        folder = context.lake.files.fetch(found.folder_name, scratch / "model")
        predictor = Predictor(folder, threads=os.cpu_count() or 1, expect=found.digest)
        for key, expected, fault in predictor.description.reads.faults(row):
            raise ConfigurationError(
                "the model reads something else", where=key, expected=expected, found=fault
            )
        (answer,) = predictor.predict([row])
        (parts,), taken = explained(predictor, [row], [answer], way)
    below = context.loop.deploy.abstain.threshold(found.card.thresholds)
    said = answer.unless_unsure(below) if below else answer
    typer.echo(f"{found.name}: {task_class(predictor.description.contract.kind).shown(said)}")
    if not parts:
        typer.echo("no word of it can be left out, or answers of this kind are not weighed")
        return
    if taken != way:
        typer.echo(f"explained by {taken}: this model has no gradients")
    _show(parts, taken)


def _require_texts(loop: str, text: str, pair: str | None) -> None:
    for name, said in (("TEXT", text), ("--pair", pair)):
        if said is not None and not said.strip():
            raise ConfigurationError(
                "no text", where=f"lakeloop explain {loop} {name}", expected="one that is not blank"
            )


def _show(parts: Iterable[Part], by: Explain) -> None:
    from rich.table import Table
    from rich.text import Text

    from lakeloop.local.status_view import console_for_people

    word, effect = _HEADINGS[by]
    table = Table(box=None, pad_edge=False)
    table.add_column(word, overflow="fold")
    table.add_column(effect, justify="right")
    for part in parts:
        table.add_row(Text(part.text), f"{part.effect:+.4f}")
    console_for_people().print(table)


def _way(said: str) -> Explain:
    if said not in get_args(Explain):
        raise ConfigurationError(
            "no such way to explain", where="--by", expected=", ".join(get_args(Explain)), found=said
        )
    return cast("Explain", said)
