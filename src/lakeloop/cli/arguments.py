"""The arguments that many verbs share, and what they mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lakeloop.settings import Settings
    from lakeloop.spec.loop import LoopSpec

LoopName = Annotated[str, typer.Argument(metavar="LOOP", help="Name of the loop: the folder loops/LOOP.")]
Partition = Annotated[
    str | None,
    typer.Option(
        "--partition",
        "-p",
        metavar="YYYY-MM-DD",
        help="The day to work on; default: the newest that is ready for the stage, else yesterday in the"
        " loop's time zone.",
    ),
]
_EXPERIMENT_HELP = (
    "Work apart from production, under this name: what is trained is compared with the champion and shown,"
    " and never released."
)
Experiment = Annotated[str, typer.Option(metavar="NAME", help=_EXPERIMENT_HELP)]
FirstDay = Annotated[
    str | None,
    typer.Option(
        "--from", metavar="YYYY-MM-DD", help="First day; default: the first that the source has, or --to."
    ),
]
LastDay = Annotated[
    str | None,
    typer.Option(
        "--to", metavar="YYYY-MM-DD", help="Last day; default: the last that the source has, or yesterday."
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print the stage's whole record as JSON on stdout, for other programs.")
]


def known_loop(name: str) -> tuple[LoopSpec, Settings]:
    """The loop called `name`, and the settings of this project.

    Raises:
        ConfigurationError: there is no such loop (the known ones are listed), or its file is wrong.
    """
    from lakeloop.settings import get_settings
    from lakeloop.spec.reading.load import load_named

    settings = get_settings()
    return load_named(name, settings), settings
