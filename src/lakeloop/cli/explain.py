"""The verb that says which words an answer hangs on."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from lakeloop.cli.arguments import LoopName
from lakeloop.errors import ConfigurationError

app = typer.Typer()


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
) -> None:
    """Answer a text, and say how much less the model would say that without each of its words."""
    from rich.table import Table
    from rich.text import Text

    from lakeloop.cli.running import open_loop, working
    from lakeloop.cli.score import version_of
    from lakeloop.inference.occlusion import effects
    from lakeloop.inference.predictor import Predictor
    from lakeloop.local.status_view import console_for_people
    from lakeloop.scratch.folder import passing_folder
    from lakeloop.tasks.reading import Instance
    from lakeloop.tasks.registry import task_class

    for name, said in (("TEXT", text), ("--pair", pair)):
        if said is not None and not said.strip():
            raise ConfigurationError(
                "no text", where=f"lakeloop explain {loop} {name}", expected="one that is not blank"
            )
    context = open_loop(loop, {})
    found, row = version_of(context, version), Instance(text, pair)
    with passing_folder(context.settings.home, "explain") as scratch, working("asking the model"):
        folder = context.lake.files.fetch(found.folder_name, scratch / "model")
        predictor = Predictor(folder, threads=os.cpu_count() or 1, expect=found.digest)
        for key, expected, fault in predictor.description.reads.faults(row):
            raise ConfigurationError(
                "the model reads something else", where=key, expected=expected, found=fault
            )
        (answer,) = predictor.predict([row])
        (parts,) = effects(predictor, [row], [answer])
    typer.echo(f"{found.name}: {task_class(predictor.description.contract.kind).shown(answer)}")
    if not parts:
        typer.echo("no word of it can be left out, or answers of this kind are not weighed")
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("without", overflow="fold")
    table.add_column("says so much less", justify="right")
    for part in parts:
        table.add_row(Text(part.text), f"{part.effect:+.4f}")
    console_for_people().print(table)
