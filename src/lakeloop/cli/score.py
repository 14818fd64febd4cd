"""The verb that answers a file with a version of a loop's model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lakeloop.cli.arguments import LoopName
from lakeloop.errors import ConfigurationError

if TYPE_CHECKING:
    from lakeloop.registry.history import ModelVersion
    from lakeloop.stages.frame.session import StageContext

app = typer.Typer()


@app.command(rich_help_panel="Models")
def score(
    loop: LoopName,
    source: Annotated[
        Path, typer.Argument(metavar="FILE", help="Parquet, CSV or JSON lines; or a folder of them.")
    ],
    to: Annotated[Path, typer.Option(metavar="TABLE.parquet", help="The table of answers, a new file.")],
    version: Annotated[
        str | None, typer.Option(metavar="VERSION", help="Of the registry; default: the champion.")
    ] = None,
    top: Annotated[
        int | None, typer.Option(min=1, help="Keep so many scores of each answer; default: all.")
    ] = None,
) -> None:
    """Answer every row of a file with the champion, into a table with the version in each row."""
    from lakeloop.cli.running import open_loop, working
    from lakeloop.inference.predictor import Predictor
    from lakeloop.inference.rows_of_files import Columns
    from lakeloop.inference.scoring import score as score_rows
    from lakeloop.scratch.folder import passing_folder

    context = open_loop(loop, {})
    found = version_of(context, version)
    columns = Columns.of(context.loop.task, getattr(context.loop.source, "key", None))
    with passing_folder(context.settings.home, "score") as scratch, working(f"scoring {source.name}"):
        folder = context.lake.files.fetch(found.folder_name, scratch / "model")
        predictor = Predictor(folder, threads=os.cpu_count() or 1, expect=found.digest)
        below = context.loop.deploy.abstain.threshold(found.card.thresholds)
        done = score_rows(predictor, source, to, columns, version=found.name, most=top, below=below)
    rate = done.rows / max(done.seconds, 1e-9)
    typer.echo(
        f"{to}: {done.answered} of {done.rows} rows answered by {found.name}, {rate:,.0f} rows a second"
    )
    if below:
        typer.echo(f"answers that are less probable than {below:.3f} are held back (deploy.abstain)")
    if done.first_fault:
        typer.echo(f"{done.rows - done.answered} row(s) could not be asked; the first, {done.first_fault}")


def version_of(context: StageContext, name: str | None) -> ModelVersion:
    """The version of the loop with this name, or its champion.

    Raises:
        ConfigurationError: there is none.
    """
    from lakeloop.registry.registry import Registry

    registry, loop = Registry(context.lake, context.attempt), context.loop.name
    history = registry.read()
    found = registry.require(history, name) if name else history.alias("champion")
    if found is None:
        raise ConfigurationError(
            f"{loop} has no champion yet",
            where=f"{loop} registry",
            expected="a version that was released",
            remedy=f"lakeloop run {loop}",
        )
    return found
