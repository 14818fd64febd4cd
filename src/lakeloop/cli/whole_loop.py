"""Verbs for a loop as a whole: run all its stages without Airflow, serve its model, see where it stands."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from lakeloop.cli.arguments import AsJson, LoopName, known_loop
from lakeloop.cli.logs import err
from lakeloop.errors import LakeloopError

if TYPE_CHECKING:
    from lakeloop.spec.models import LoopSpec
    from lakeloop.stages.status import LoopStatus

app = typer.Typer()
_PANEL = "The loop"


@app.command(rich_help_panel=_PANEL)
def run(
    loop: LoopName,
    first: Annotated[
        str | None,
        typer.Option("--from", metavar="YYYY-MM-DD", help="First day; default: a corpus's first, or --to."),
    ] = None,
    last: Annotated[
        str | None,
        typer.Option("--to", metavar="YYYY-MM-DD", help="Last day; default: a corpus's last, or yesterday."),
    ] = None,
    roll_out: Annotated[bool, typer.Option("--roll-out", help="Also roll a new champion out.")] = False,
    json: AsJson = False,
) -> None:
    """Run all stages for several days, without Airflow; what is done is not done twice."""
    from lakeloop.cli.progress import RunView
    from lakeloop.cli.running import open_loop
    from lakeloop.stages.run import run as run_stages

    spec, _ = known_loop(loop)
    days = _days(spec, first, last)
    context = open_loop(loop, {})
    with RunView(loop, days) as view, redirect_stdout(sys.stderr):
        records = run_stages(context, days, view.show, roll_out=roll_out)
    if json:
        lines = ",\n".join(record.model_dump_json() for record in records)
        typer.echo(f"[{lines}]")
    else:
        Console().print(view.summary())


def _days(loop: LoopSpec, first: str | None, last: str | None) -> list[str]:
    """The days from `first` to `last`; without both, all that a corpus replays, or else yesterday."""
    from lakeloop.spec.days import days_between, yesterday
    from lakeloop.spec.models import PackageSource

    if isinstance(loop.source, PackageSource):
        first, last = first or loop.source.partitions[0], last or loop.source.partitions[-1]
    last = last or yesterday()
    return days_between(first or last, last)


@app.command(rich_help_panel=_PANEL)
def serve(
    loop: LoopName,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8100,
) -> None:
    """Answer over HTTP with the champion, until Ctrl-C; a new champion is taken up without a restart."""
    from lakeloop.cli.logs import at_least_info

    _, settings = known_loop(loop)
    at_least_info()

    from lakeloop.serving.server import serve as run_server

    run_server(loop, host, port, settings=settings)


@app.command(rich_help_panel=_PANEL)
def rollback(
    loop: LoopName,
    reason: Annotated[str, typer.Option(help="Why; it is kept in the registry's history.")],
) -> None:
    """Make the version before the champion champion again; model servers take it within seconds."""
    from lakeloop.cli.running import open_loop
    from lakeloop.registry.registry import Registry

    context = open_loop(loop, {})
    version = Registry(context.lake, context.attempt).rollback(reason)
    typer.echo(f"{version.name} is champion of {loop} again")


@app.command(rich_help_panel=_PANEL)
def status(
    loop: Annotated[
        str | None, typer.Argument(metavar="[LOOP]", help="Name of a loop; default: all.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print it as JSON, for other programs.")] = False,
) -> None:
    """Show where each loop stands: last stages, rows, champion, latest decision, what is due."""
    from lakeloop.cli.running import working
    from lakeloop.cli.status_view import status_panel
    from lakeloop.settings import get_settings
    from lakeloop.spec.load import loop_names

    with working("reading the ledger"):
        statuses, errors = _statuses([loop] if loop else loop_names(get_settings()))
    if json:
        lines = ",\n".join(status.model_dump_json() for status in statuses)
        typer.echo(f"[{lines}]")
    else:
        for found in statuses:
            Console().print(status_panel(found))
    for error in errors:
        err.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
    if errors:
        raise typer.Exit(errors[-1].exit_code)


def _statuses(names: Sequence[str]) -> tuple[list[LoopStatus], list[LakeloopError]]:
    """Where each loop stands, and an error for each that cannot be shown: it must not hide the others.

    Raises:
        LakeloopError: there is only one loop, and it cannot be shown.
    """
    from lakeloop.cli.running import open_loop
    from lakeloop.stages.status import loop_status

    statuses: list[LoopStatus] = []
    errors: list[LakeloopError] = []
    for name in names:
        try:
            statuses.append(loop_status(open_loop(name, {})))
        except LakeloopError as error:
            if len(names) == 1:
                raise
            errors.append(error)
    return statuses, errors
