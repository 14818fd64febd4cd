"""Verbs for everything on this machine: Airflow and the model server, and the demo that shows the loop."""

from __future__ import annotations

from typing import Annotated

import typer

from lakeloop.spec.demo import DEMO_LOOP

app = typer.Typer()
_PANEL = "This machine"


@app.command(rich_help_panel=_PANEL)
def up() -> None:
    """Start Airflow and the model server, both for all loops, and leave them running."""
    from lakeloop.local import demo as local

    local.up()


@app.command(rich_help_panel=_PANEL)
def down() -> None:
    """Stop Airflow and the model server; one that was started by `lakeloop serve` is named and left alone."""
    from lakeloop.local import demo as local

    local.down()


@app.command(rich_help_panel=_PANEL)
def demo(
    loop: Annotated[str, typer.Argument(metavar="[LOOP]", help="The loop that is shown.")] = DEMO_LOOP,
    once: Annotated[bool, typer.Option("--once", help="Stop everything at the end.")] = False,
) -> None:
    """Run several days of a loop through Airflow and show what came out.

    Ends with exit code 1 when a stage failed.
    """
    from lakeloop.local import demo as local

    if not local.demo(once=once, loop=loop):
        raise typer.Exit(1)
