"""The verb that says what lies on the disk, and removes what nothing needs."""

from __future__ import annotations

import json as to_json
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from lakeloop.disk.base import Place
    from lakeloop.disk.clean import Counted, Freed

app = typer.Typer()
_PANEL = "This machine"
_FAILED = 75


@app.command(rich_help_panel=_PANEL)
def disk(
    loop: Annotated[
        str | None,
        typer.Argument(metavar="[LOOP]", help="Only what is of this loop; default: all that is here."),
    ] = None,
    clean: Annotated[bool, typer.Option("--clean", help="Remove what is beyond its limit.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --clean: name what would go, and remove nothing.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print it as JSON, for other programs.")] = False,
) -> None:
    """Show what lies on the disk, who makes it and what is beyond its limit; remove that with --clean.

    Maintenance does it daily.
    """
    from lakeloop.cli.running import working
    from lakeloop.disk.clean import clean as remove
    from lakeloop.disk.clean import look

    place = _place(loop)
    if clean and not dry_run:
        with working("removing what is beyond its limit"):
            freed = remove(place, shared=loop is None)
        _tell_freed(freed, json=json)
        return
    with working(f"looking at {place.home}"):
        kinds = look(place, shared=loop is None)
    if json:
        typer.echo(to_json.dumps([each.model_dump(mode="json") for each in kinds], indent=2))
    elif clean:
        _tell_going(kinds)
    else:
        _tell(kinds, place)


def _place(loop: str | None) -> Place:
    """The home of this project, with the loop, or all whose files can be read.

    Raises:
        ConfigurationError: there is no such loop, or its file is wrong.
    """
    from lakeloop.cli.arguments import known_loop
    from lakeloop.disk.base import Place
    from lakeloop.disk.limits import DiskLimits
    from lakeloop.errors import ConfigurationError
    from lakeloop.settings import get_settings, read_settings
    from lakeloop.spec.reading.load import load_named, loop_names

    limits = read_settings(DiskLimits)
    if loop is not None:
        spec, settings = known_loop(loop)
        return Place(settings, (spec,), time.time(), limits)
    settings, found = get_settings(), []
    for name in loop_names(settings):
        try:
            found.append(load_named(name, settings))
        except ConfigurationError as error:
            _warn(f"loop {name} is left out, its file cannot be read: {error.message}")
    return Place(settings, tuple(found), time.time(), limits)


def _tell(kinds: Sequence[Counted], place: Place) -> None:
    console = Console()
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("kind", "of", "things", "MB", "would go", "oldest", "limit"):
        table.add_column(name, justify="right" if name in ("things", "MB", "would go") else "left")
    for each in sorted(kinds, key=lambda each: each.bytes, reverse=True):
        if each.things:
            oldest = "" if each.oldest is None else f"{max(0.0, place.days_since(each.oldest)):.0f} d"
            going = _mb(each.going_bytes) if each.going else ""
            row = (each.kind, each.owner, f"{each.things:,}", _mb(each.bytes), going, oldest, each.limit)
            table.add_row(*map(Text, row))
    console.print(table)
    total, going_bytes = sum(each.bytes for each in kinds), sum(each.going_bytes for each in kinds)
    typer.echo(f"{_mb(total)} MB in all, {_mb(going_bytes)} MB beyond the limits: lakeloop disk --clean")
    _tell_trouble(kinds)


def _tell_going(kinds: Sequence[Counted]) -> None:
    number = 0
    for kind in kinds:
        for each in kind.going:
            number += 1
            typer.echo(f"{kind.kind}: {each.path}, {_mb(each.bytes)} MB: {each.reason}")
    size = sum(each.going_bytes for each in kinds)
    typer.echo(f"{number} would go, {_mb(size)} MB; nothing was removed")
    _tell_trouble(kinds)


def _tell_freed(freed: Sequence[Freed], *, json: bool) -> None:
    if json:
        typer.echo(to_json.dumps([each.model_dump(mode="json") for each in freed], indent=2))
    else:
        for each in freed:
            used = f"; {each.used} used by now stayed" if each.used else ""
            typer.echo(f"{each.kind}: {each.things} removed, {_mb(each.bytes)} MB{used}")
        typer.echo(f"{_mb(sum(each.bytes for each in freed))} MB freed")
    if _tell_trouble(freed):
        raise typer.Exit(_FAILED)


def _tell_trouble(found: Sequence[Counted | Freed]) -> bool:
    """Whether there was any."""
    for each in found:
        if each.trouble:
            _warn(f"{each.kind}: {each.trouble}")
    return any(each.trouble for each in found)


def _warn(text: str) -> None:
    from lakeloop.cli.logs import err
    from lakeloop.spec.quoting import printable

    err.print(Text(printable(text), style="yellow"), soft_wrap=True)


def _mb(size: int) -> str:
    """Megabytes, 10^6 bytes."""
    return f"{size / 1e6:,.1f}"
