"""Verbs for the files that a person edits: check them, describe them to editors, take over dbt models.

A new loop file is `begin`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from lakeloop.cli.arguments import LoopName, known_loop
from lakeloop.cli.logs import err
from lakeloop.spec.quoting import printable

app = typer.Typer()
_PANEL = "The loop file"


@app.command(rich_help_panel=_PANEL)
def check(
    targets: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FILE|LOOP]...", help="Loop files or names of loops; default: all."),
    ] = None,
    data: Annotated[
        bool | None,
        typer.Option(
            "--data/--no-data",
            help="Also read the first records of the first day; default: where they need no fetch.",
        ),
    ] = None,
) -> None:
    """Check loop files; say everything that is wrong, with file, line and what is right.

    Of a file that is right: what it would read, what the first records look like, what is not there yet.
    """
    from lakeloop.cli.beyond_the_text import require_usable
    from lakeloop.cli.first_look import first_look
    from lakeloop.errors import ConfigurationError
    from lakeloop.settings import get_settings
    from lakeloop.spec.reading.load import load_loop, loop_names

    settings = get_settings()
    names = targets or loop_names(settings)
    if not names:
        raise ConfigurationError("no loops", where=str(settings.loops), remedy="make one: lakeloop new NAME")
    console, failed = Console(), None
    for name in names:
        path = Path(name) if _is_file_name(name) else settings.loop_file(name)
        try:
            loop = load_loop(path, settings)
            require_usable(loop, path, settings)
        except ConfigurationError as error:
            if len(names) == 1:
                raise
            failed = error
            err.print(printable(str(error)), style="red", markup=False, highlight=False, soft_wrap=True)
        else:
            methods = ", ".join(f"{each.name} by {each.method.kind}" for each in loop.train.all_candidates)
            what = f"{loop.source.kind} source, {loop.task.kind}, {methods}"
            console.print(f"[green]ok[/]  {loop.name}  [dim]{what}[/]", highlight=False, soft_wrap=True)
            look = first_look(loop, settings, data=data)
            for found in look.found:
                console.print(Text(f"    {printable(found)}", style="dim"), soft_wrap=True)
            for warning in map(printable, look.warnings):
                console.print(Text(f"    warning: {warning}", style="yellow"), soft_wrap=True)
    if failed:
        raise typer.Exit(failed.exit_code)


def _is_file_name(name: str) -> bool:
    return "/" in name or name.endswith((".yaml", ".yml"))


@app.command(rich_help_panel=_PANEL)
def schema(
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail when the file is out of step.")
    ] = False,
) -> None:
    """Write loops/loop.schema.json, by which editors complete and check loop files."""
    from lakeloop.durable import write_atomically
    from lakeloop.errors import ConfigurationError
    from lakeloop.settings import get_settings
    from lakeloop.spec.schema import schema_path, schema_text

    path, text = schema_path(get_settings()), schema_text()
    in_step = path.exists() and path.read_text(encoding="utf-8") == text
    if check and not in_step:
        raise ConfigurationError(
            "the schema is not what the models say", where=str(path), remedy="write it again: lakeloop schema"
        )
    if not in_step:
        write_atomically(path, text)
    typer.echo(f"{path}: {'in step' if in_step else 'written'}")


@app.command(rich_help_panel=_PANEL)
def eject(loop: LoopName) -> None:
    """Take over the dbt models of a loop, to change them: they are written below dbt/models/LOOP.

    Without it they are generated from the loop file at each transform, and an upgrade reaches them.
    """
    from lakeloop.cli.begin import say_written
    from lakeloop.transform.models import take_over

    spec, settings = known_loop(loop)
    say_written(take_over(settings.dbt, spec), settings)
    typer.echo(
        "\nThe models are yours: `transform` takes them as they stand, and an upgrade of Lakeloop no longer\n"
        "changes them. They build what they did; what you change counts for days that are transformed from\n"
        "then on (older ones: lakeloop run with --from and --to). When the task gets other columns, add\n"
        f"them: lakeloop check {loop} says which are missing. Move the folder away, and they are generated\n"
        "again."
    )
