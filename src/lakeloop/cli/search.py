"""The verb that shows the trials of a search: under way, or of a training that is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from lakeloop.cli.arguments import AsJson, LoopName
from lakeloop.errors import ConfigurationError, DataError

if TYPE_CHECKING:
    from lakeloop.search.found import SearchFound, TrialFound

app = typer.Typer()
_PANEL = "The loop"
_COLOURS = {"complete": "green", "pruned": "yellow", "failed": "red", "running": "cyan"}


@app.command(rich_help_panel=_PANEL)
def search(
    loop: LoopName,
    partition: Annotated[
        str | None,
        typer.Option(
            "--partition", "-p", metavar="YYYY-MM-DD", help="The day; default: that of the newest data set."
        ),
    ] = None,
    json: AsJson = False,
) -> None:
    """Show the trials of the loop's search: state, score, values and cost of each."""
    from lakeloop.cli.running import open_loop, working
    from lakeloop.local.status_view import console_for_people
    from lakeloop.spec.days import require_day
    from lakeloop.stages.training.search import look

    if partition is not None:
        require_day(partition, where="--partition")
    context = open_loop(loop, {})
    if context.loop.train.search is None:
        raise ConfigurationError(
            "the loop searches nothing", where=f"{loop} train.search", expected="a section with a space"
        )
    with working(f"reading the search of {loop}"):
        day = partition or context.lake.ledger.newest_day("dataset")
        found = look(context, day) if day else None
    if found is None:
        raise DataError(
            "no trial was begun", where=f"search {loop}", remedy=f"begin them: lakeloop train {loop}"
        )
    if json:
        typer.echo(found.model_dump_json())
        return
    console_for_people().print(table(found))
    typer.echo(found.sentence)
    if found.ended:
        typer.echo(f"it ended before its {found.asked} trials: {found.ended}")


def table(found: SearchFound) -> Table:
    """The trials, in the order in which they began."""
    keys = list(dict.fromkeys(key for trial in found.trials for key in trial.values))
    names = {model.trial: model.name for model in found.kept}
    shown = Table(box=None, pad_edge=False)
    for name in ("trial", "state", found.metric, *keys, "after", "seconds", "CPU s", "GPU s", "model"):
        shown.add_column(name, justify="left" if name in ("state", "model") else "right", overflow="fold")
    for trial in found.trials:
        shown.add_row(*_cells(trial, keys, names.get(trial.number, "")))
    return shown


def _cells(trial: TrialFound, keys: list[str], model: str) -> list[Text]:
    from lakeloop.search.found import said

    cells = [
        str(trial.number),
        trial.state,
        "" if trial.score is None else f"{trial.score:.4f}",
        *(said(trial.values.get(key, "")) for key in keys),
        str(len(trial.epochs) or ""),
        *(f"{value:.1f}" for value in (trial.cost.seconds, trial.cost.cpu_seconds, trial.cost.gpu_seconds)),
        model or trial.reason,
    ]
    return [Text(cell, style=_COLOURS[trial.state] if at == 1 else "") for at, cell in enumerate(cells)]
