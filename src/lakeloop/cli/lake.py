"""Verbs that change what lies in a loop's lake: they show what will happen, and ask."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lakeloop.cli.arguments import LoopName, known_loop
from lakeloop.errors import ConfigurationError

if TYPE_CHECKING:
    from lakeloop.stages.frame.reset import Clearance
    from lakeloop.stages.frame.session import StageContext

app = typer.Typer()
_PANEL = "The loop"
_SHOWN_DAYS = 10

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@app.command(rich_help_panel=_PANEL)
def reset(
    loop: LoopName,
    partitions: Annotated[
        list[str] | None,
        typer.Option("--partition", "-p", metavar="YYYY-MM-DD", help="A day to clear; may be given again."),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All days; the tables then take the columns of the loop file.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Clear days, to make them anew from their drops: rows of raw, quarantine, staging and mart.

    Models and their history, evaluations, predictions and feedback stay. It shows what goes, and asks.
    """
    from lakeloop.cli.running import working
    from lakeloop.spec.days import require_day
    from lakeloop.stages.frame.reset import clear, to_clear

    if bool(partitions) == everything:
        raise ConfigurationError(
            "which days?", where=f"reset {loop}", expected="--partition YYYY-MM-DD, or --all for all days"
        )
    for day in partitions or ():
        require_day(day, where="--partition")
    context = _context(loop, any_columns=everything)
    with working("looking at what is there"):
        clearance = to_clear(context, None if everything else partitions)
    if not (clearance.days or everything):
        typer.echo(f"nothing of {', '.join(partitions or ())} is in the lake of {loop}")
        return
    _show(clearance, loop)
    _require_yes("Clear them?" if clearance.days else "Make the tables anew?", f"reset {loop}", yes=yes)
    with working(f"clearing {len(clearance.days)} day(s)"):
        clear(context, clearance)
    typer.echo(f"cleared: {clearance.total:,} rows of {len(clearance.days)} day(s)")


def _context(loop: str, *, any_columns: bool) -> StageContext:
    """The loop, opened; with `any_columns` also where its tables have other columns than its file says.

    Raises:
        ConfigurationError: the loop file is wrong, or the lake does not fit it.
    """
    from lakeloop.attempt import Attempt
    from lakeloop.cli.running import open_loop
    from lakeloop.lake.store import Lake
    from lakeloop.settings import protect_home
    from lakeloop.stages.frame.session import StageContext

    if not any_columns:
        return open_loop(loop, {})
    spec, settings = known_loop(loop)
    protect_home(settings)
    return StageContext(spec, Lake.from_settings(settings, spec), settings, Attempt.local())


def _show(clearance: Clearance, loop: str) -> None:
    days, console = clearance.days, Console()
    _say(console, f"reset {loop}: {len(days)} day(s){f', {_listed(days)}' if days else ''}")
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("table", "days", "rows that go"):
        table.add_column(name, justify="left" if name == "table" else "right")
    for name, rows in clearance.rows.items():
        table.add_row(name, str(len(rows)), f"{sum(rows.values()):,}")
    console.print(table)
    _say(console, "What stays: models and their history, evaluations, predictions, feedback, the ledger.")
    if clearance.everything:
        _say(console, "The tables then have the columns that the loop file declares.")
    if days:
        _say(console, f"To be run again afterwards: lakeloop run {loop} --from {days[0]} --to {days[-1]}")
    if clearance.without_drop:
        gone = _listed(clearance.without_drop)
        warning = f"warning: no drop is there now for {gone}: nothing can make these rows again"
        console.print(Text(warning, style="yellow"), soft_wrap=True)


def _require_yes(question: str, where: str, *, yes: bool) -> None:
    """Return when a person agrees, or did before, with --yes.

    Raises:
        ConfigurationError: nobody can be asked.
        Abort: a person said no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigurationError(
            "nothing was changed: there is no terminal to ask at",
            where=where,
            remedy="say that it is meant: --yes",
        )
    typer.confirm(question, abort=True)


def _listed(days: Sequence[str]) -> str:
    """All days when they are few, else the first and last of them."""
    return ", ".join(days) if len(days) <= _SHOWN_DAYS else f"{days[0]} to {days[-1]}"


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
