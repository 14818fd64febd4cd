"""The verb that answers rows with a model: a file with any version, or a day's rows with the champion."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lakeloop.cli.arguments import AsJson, LoopName, Partition
from lakeloop.cli.stage_verbs import Set
from lakeloop.errors import ConfigurationError

if TYPE_CHECKING:
    from lakeloop.registry.history import ModelVersion
    from lakeloop.stages.frame.session import StageContext

app = typer.Typer()


@app.command(rich_help_panel="Models")
def score(
    loop: LoopName,
    source: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]", help="Parquet, CSV or JSON lines; or a folder of them. Default: score.source."
        ),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(metavar="TABLE.parquet", help="The table of answers; of FILE a new file."),
    ] = None,
    version: Annotated[
        str | None, typer.Option(metavar="VERSION", help="Of the registry, for FILE; default: the champion.")
    ] = None,
    top: Annotated[
        int | None, typer.Option(min=1, help="Keep so many scores of each answer; default: all.")
    ] = None,
    partition: Partition = None,
    set_: Set = None,
    json: AsJson = False,
) -> None:
    """Answer the rows of a file, or of the day, with the champion; the version stands in each row.

    With FILE the answers go to the new file TABLE.parquet, and the lake is only read. Without it the work is
    that of the DAG score: the day's rows of score.source, into table scores of the lake.
    """
    given: dict[str, object] = {"--version": version}
    if source is not None:
        given = {"--partition": partition, "--set": set_}
    if wrong := [name for name, value in given.items() if value]:
        raise ConfigurationError(
            f"{', '.join(wrong)} {'is for a FILE' if source is None else 'is for a day, without FILE'}",
            where=f"lakeloop score {loop}",
        )
    if source is None:
        _score_day(loop, partition, to, top, set_ or [], as_json=json)
    elif to is None:
        raise ConfigurationError(
            "no table to write", where=f"lakeloop score {loop} {source}", expected="--to TABLE.parquet"
        )
    else:
        _score_file(loop, source, to, version, top)


def _score_day(
    loop: str, partition: str | None, to: Path | None, top: int | None, assigned: list[str], *, as_json: bool
) -> None:
    from lakeloop.cli.running import open_loop, overrides, run_stage
    from lakeloop.spec.days import yesterday
    from lakeloop.stages.catalogue import stage_named
    from lakeloop.stages.release.score import MADE_BY

    changes = overrides(assigned)
    changes |= {key: value for key, value in (("score.top", top), ("score.to", to and str(to))) if value}
    if partition is None:
        context = open_loop(loop, changes)
        made_by = MADE_BY.get(context.loop.score.source or "")
        newest = context.lake.ledger.newest_day(made_by) if made_by else None
        partition = newest or yesterday(context.loop.schedule.timezone)
    run_stage(stage_named("score").function, loop, partition, as_json=as_json, changes=changes)


def _score_file(loop: str, source: Path, to: Path, version: str | None, top: int | None) -> None:
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
    typer.echo(f"{to}: {done.sentence(found.name)}")
    if below:
        typer.echo(f"answers that are less probable than {below:.3f} are held back (deploy.abstain)")
    elif context.loop.deploy.abstain.asked:
        why = context.loop.deploy.abstain.why_none(found.card.thresholds)
        typer.echo(f"nothing is held back: {why} (deploy.abstain)")
    if done.first_fault:
        typer.echo(f"{done.not_asked} row(s) could not be asked; the first, {done.first_fault}")


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
