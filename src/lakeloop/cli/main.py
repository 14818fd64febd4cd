"""Puts the verbs together, and words what goes wrong: errors raised on purpose are shown without traceback.

The exit code tells a script if trying again may help: 64 wrong configuration, 65 wrong data, 75 try again.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.text import Text

from lakeloop import __version__
from lakeloop.cli import (
    approval,
    begin,
    corrections,
    disk,
    doctor,
    doubts,
    examples,
    explain,
    impact,
    lake,
    local_stack,
    logs,
    loop_files,
    mirror,
    models,
    plan,
    quarantine,
    readmit,
    score,
    search,
    stage_verbs,
    whole_loop,
    why,
)
from lakeloop.errors import LakeloopError, exit_code
from lakeloop.garbage import collect_rarely
from lakeloop.spec.quoting import printable

log = logging.getLogger("lakeloop.cli")

app = typer.Typer(
    name="lakeloop",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for group in (
    loop_files,
    begin,
    examples,
    stage_verbs,
    whole_loop,
    plan,
    approval,
    models,
    score,
    explain,
    why,
    search,
    quarantine,
    readmit,
    corrections,
    doubts,
    impact,
    lake,
    mirror,
    disk,
    doctor,
    local_stack,
):
    app.add_typer(group.app)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lakeloop {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    verbose: Annotated[
        int, typer.Option("--verbose", "-v", count=True, help="Show what is going on; -vv shows everything.")
    ] = 0,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show everything, and the traceback of an error.")
    ] = False,
    version: Annotated[  # noqa: ARG001  (its callback does it)
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """From a data lake to a deployed, watched, retrained model.

    Every stage that Airflow runs can be run here by hand: same function, same result.
    """
    logs.configure(2 if debug else verbose)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command with `argv` (default: the process's own), and end the process."""
    collect_rarely()
    try:
        app(args=None if argv is None else list(argv), prog_name="lakeloop")
    except LakeloopError as error:
        log.debug("raised here", exc_info=error)
        logs.err.print(Text(printable(str(error))), style="red", soft_wrap=True)
        sys.exit(exit_code(error))


if __name__ == "__main__":
    main()
