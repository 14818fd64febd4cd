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
from lakeloop.errors import ConfigurationError, DataError

if TYPE_CHECKING:
    from lakeloop.stages.frame.evolve import Evolution
    from lakeloop.stages.frame.reset import Clearance
    from lakeloop.stages.frame.session import StageContext

app = typer.Typer()
_PANEL = "The loop"
_SHOWN_DAYS = 10
_CELL = 60

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


@app.command(rich_help_panel=_PANEL)
def evolve(loop: LoopName, yes: Yes = False) -> None:
    """Move the lake to the columns that the loop file has now, with its rows; say first what that changes.

    A column of another type is carried over when all its values fit, and nothing is changed otherwise.
    """
    from lakeloop.cli.running import working
    from lakeloop.stages.frame.evolve import evolve as carry_over
    from lakeloop.stages.frame.evolve import look

    context = _context(loop, any_columns=True)
    with working("comparing the lake with the loop file"):
        evolution = look(context)
    _show_columns(evolution, loop)
    if evolution.misfits:
        raise _do_not_fit(evolution, loop)
    if evolution.retyped:
        _require_yes("Rewrite raw?", f"evolve {loop}", yes=yes)
    with working("moving the lake"):
        due = carry_over(context, evolution)
    if evolution.retyped:
        typer.echo(
            f"raw has the columns of the loop file: {sum(evolution.rows.values()):,} rows carried over"
        )
    if due:
        typer.echo(
            f"{len(due)} day(s) are to be built again from them: maintenance does it, or\n"
            f"  lakeloop run {loop} --from {due[0]} --to {due[-1]}"
        )


def _show_columns(evolution: Evolution, loop: str) -> None:
    console = Console()
    rows, days = sum(evolution.rows.values()), len(evolution.rows)
    _say(console, f"evolve {loop}: raw has {rows:,} row(s) of {days} day(s)")
    for name in evolution.added:
        _say(console, f"  added    {name}: null in the rows of before; it comes by itself")
    for name in evolution.dropped:
        _say(console, f"  dropped  {name}: stays for the rows of before, null in new ones")
    for one in evolution.retyped:
        fit = f"{one.values - one.misfits:,} of {one.values:,} values fit"
        _say(console, f"  retyped  {one.column.stored}: {one.before} -> {one.column.type}, {fit}")
    if not (evolution.added or evolution.dropped or evolution.retyped):
        _say(console, "  its columns are those of the loop file")


def _do_not_fit(evolution: Evolution, loop: str) -> DataError:
    from lakeloop.spec.quoting import plain

    shown = [
        f"{one.column.stored} of {bad.partition}, {plain(bad.file)} line {bad.line}: "
        f"{plain(bad.value, _CELL)}"
        for one in evolution.retyped
        for bad in one.first
    ]
    kinds = ", ".join(f"{one.column.stored} {one.column.type}" for one in evolution.retyped if one.misfits)
    return DataError(
        f"{evolution.misfits:,} value(s) do not fit the types that the loop file says; nothing was changed",
        where=f"evolve {loop}",
        expected=kinds,
        found="; ".join(shown),
        remedy="give the column a type that all values have (string takes any); or have the days read anew"
        f" from their drops, where such records go to quarantine: lakeloop reset {loop} --all",
    )


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
        warning = f"warning: no drop can be found now for {gone}: without one these rows are not made again"
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
