"""The verb that lists the loops that ship, and how one of them is begun."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console

if TYPE_CHECKING:
    from lakeloop.settings import Settings

app = typer.Typer()
_PANEL = "The loop file"


@app.command(rich_help_panel=_PANEL)
def examples() -> None:
    """List the loops that ship: each is begun with data of its own by lakeloop new NAME --example EXAMPLE."""
    from lakeloop.examples.registry import EXAMPLES

    for name, example in EXAMPLES.items():
        _say(f"{name:<16}{example.title}")
        if example.wanted:
            _say(f"{'':<16}--from-dataset: a folder with {example.wanted}")


def begin_example(name: str, settings: Settings, example: str, dataset: str | None) -> None:
    """Write the files of a new loop called `name` and its days, made up or of the `dataset` in a folder.

    Raises:
        ConfigurationError: no such example, or the name is taken; nothing was written.
        DataError: the data set is not in that folder, or data of that name are there; nothing was written.
    """
    from lakeloop.cli.begin import say_written
    from lakeloop.cli.scaffold import require_free, scaffold
    from lakeloop.examples.registry import answers_in, example_named, loop_text, rows_of, write_drops
    from lakeloop.spec.reading.load import load_named

    chosen = example_named(example)
    require_free(name, settings)
    folder = settings.root / "data" / name
    _require_empty(folder)
    rows = None if dataset is None else rows_of(example, Path(dataset).expanduser())
    text = loop_text(example, name, answers_in(chosen, rows) if rows else ())
    say_written([scaffold(name, settings, "", text), *write_drops(example, folder, rows)], settings)
    loop = load_named(name, settings)
    methods = ", ".join(f"{each.name} by {each.method.kind}" for each in loop.train.all_candidates)
    _say(
        f"\n{chosen.title}. It trains {methods}.\nNext: look at the file and the data, and run it:\n"
        f"  lakeloop check {name}  # what the data look like\n"
        f"  lakeloop run {name}    # the whole loop, here\n"
        f"  lakeloop start {name}  # or in Airflow, where that runs (make up)"
    )


def _require_empty(folder: Path) -> None:
    from lakeloop.errors import DataError

    if folder.is_dir() and any(folder.iterdir()):
        raise DataError(
            "there are data of that name already",
            where=str(folder),
            expected="no such folder, or an empty one",
            found="files",
            remedy="choose another name, or move the files away",
        )


def _say(text: str) -> None:
    Console().print(text, markup=False, highlight=False, soft_wrap=True)
