"""Verbs for a loop as a whole: run all its stages without Airflow, serve its model, see where it stands."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from lakeloop.cli.arguments import AsJson, FirstDay, LastDay, LoopName, known_loop
from lakeloop.cli.logs import err
from lakeloop.errors import LakeloopError
from lakeloop.ports import SERVER_PORT
from lakeloop.spec.quoting import printable

if TYPE_CHECKING:
    from lakeloop.stages.frame.status import LoopStatus

app = typer.Typer()
_PANEL = "The loop"


@app.command(rich_help_panel=_PANEL)
def run(
    loop: LoopName,
    first: FirstDay = None,
    last: LastDay = None,
    roll_out: Annotated[bool, typer.Option("--roll-out", help="Also roll a new champion out.")] = False,
    json: AsJson = False,
) -> None:
    """Run all stages up to the roll-out for several days, without Airflow; what is done is not done twice.

    Rows of score.source are answered by lakeloop score, and watched by lakeloop monitor.
    Ends with exit code 65 when none of the days has data, or data are wrong.
    """
    from lakeloop.cli.progress import RunView
    from lakeloop.cli.running import open_loop
    from lakeloop.sources.days import days_to_run, in_short, without_delivery
    from lakeloop.spec.days import yesterday
    from lakeloop.stages.frame.run import run as run_stages

    spec, settings = known_loop(loop)
    days = days_to_run(spec, settings, first, last) or [yesterday(spec.schedule.timezone)]
    if gaps := without_delivery(days):
        typer.echo(f"{len(gaps)} day(s) between are not there: {in_short(gaps)}", err=True)
    context = open_loop(loop, {})
    view = RunView(context.loop, days)
    try:
        with view, redirect_stdout(sys.stderr):
            records = run_stages(context, days, view.show, roll_out=roll_out)
    finally:
        if not json:
            Console().print(view.summary())
            for line in view.left_out:
                typer.echo(line)
    if json:
        lines = ",\n".join(record.model_dump_json() for record in records)
        typer.echo(f"[{lines}]")


@app.command(rich_help_panel=_PANEL)
def start(
    loop: LoopName,
    first: FirstDay = None,
    last: LastDay = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Switch the loop's DAGs on in Airflow and send the days through; say first what will happen."""
    from lakeloop.local import stack as stacks
    from lakeloop.local.airflow_api import AirflowApi
    from lakeloop.local.drive import wait_for_dags
    from lakeloop.local.start import carry_out, plan
    from lakeloop.sources.days import days_to_run

    spec, settings = known_loop(loop)
    days = days_to_run(spec, settings, first, last)
    running = stacks.find(settings)
    url, login = (running.airflow_url, running.login) if running else (settings.airflow_url, None)
    with AirflowApi(url, login=login) as api:
        with err.status(f"asking Airflow at {api.url}") as status:
            api.health()
            wait_for_dags(api, loop, status.update)
            planned = plan(api, spec, days)
        typer.echo(f"{loop}, in Airflow at {api.url}:")
        for word, meaning in planned.sentences.items():
            typer.echo(f"  {word + ':':<14} {meaning}")
        if not yes:
            typer.confirm("Start?", abort=True)
        carry_out(api, planned)
        typer.echo(f"started; follow it at {api.url}/plugin/lakeloop or with: lakeloop status {loop}")


@app.command(rich_help_panel=_PANEL)
def serve(
    loops: Annotated[
        list[str] | None,
        typer.Argument(metavar="[LOOP]...", help="Names of loops; default: all, also those that come later."),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = SERVER_PORT,
    processes: Annotated[
        int | None,
        typer.Option(
            min=1, help="Processes that answer on the port; default: LAKELOOP_SERVE_PROCESSES, or 1."
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            metavar="cpu|cuda|auto", help="What models run on; default: LAKELOOP_SERVE_DEVICE, or cpu."
        ),
    ] = None,
) -> None:
    """Answer over HTTP with the champions, until Ctrl-C; a new champion is taken up without a restart."""
    from functools import partial

    from lakeloop.cli import logs

    logs.at_least_info(of_libraries=True)

    from lakeloop.inference.devices import wanted
    from lakeloop.serving.server import serve as run_server

    on = wanted(device, "--device") if device else None
    prepare = partial(logs.of_a_server, logs.verbosity())
    run_server(loops or (), host, port, processes=processes, device=on, prepare=prepare)


@app.command(rich_help_panel=_PANEL)
def status(
    loop: Annotated[
        str | None, typer.Argument(metavar="[LOOP]", help="Name of a loop; default: all.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print it as JSON, for other programs.")] = False,
) -> None:
    """Show where each loop stands: last stages, rows, champion, latest decision, what is due."""
    from lakeloop.cli.running import working
    from lakeloop.local.stack import find
    from lakeloop.local.status_view import console_for_people, status_panel
    from lakeloop.settings import get_settings
    from lakeloop.spec.reading.load import loop_names

    with working("reading the ledger"):
        statuses, errors = _statuses([loop] if loop else loop_names(get_settings()))
    if json:
        lines = ",\n".join(status.model_dump_json() for status in statuses)
        typer.echo(f"[{lines}]")
    else:
        for found in statuses:
            console_for_people().print(status_panel(found))
        if running := find(get_settings()):
            typer.echo(running.server_line)
    for error in errors:
        err.print(printable(str(error)), style="red", markup=False, highlight=False, soft_wrap=True)
    if errors:
        raise typer.Exit(errors[-1].exit_code)


def _statuses(names: Sequence[str]) -> tuple[list[LoopStatus], list[LakeloopError]]:
    """Where each loop stands, and an error for each that cannot be shown: it must not hide the others.

    Raises:
        LakeloopError: there is only one loop, and it cannot be shown.
    """
    from lakeloop.cli.running import open_loop
    from lakeloop.stages.frame.status import loop_status

    statuses: list[LoopStatus] = []
    errors: list[LakeloopError] = []
    for name in names:
        try:
            statuses.append(loop_status(open_loop(name, {}, looking=True)))
        except LakeloopError as error:
            if len(names) == 1:
                raise
            errors.append(error)
    return statuses, errors
