"""The verb that begins a loop: from nothing, with a template; or from data, with what is found in them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from lakeloop.tasks.registry import TASKS

if TYPE_CHECKING:
    from lakeloop.proposal.given import Given, Pointer
    from lakeloop.proposal.loop_file import Proposal
    from lakeloop.proposal.preview import Preview
    from lakeloop.proposal.roles import Choice, Part
    from lakeloop.settings import Settings
    from lakeloop.spec.loop import LoopSpec

app = typer.Typer()
_PANEL = "The loop file"
_SHOWN_ANSWERS = 12
_CELL = 60

Looked = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="FILE|URL",
        help="Look at this file, folder, pattern ('drops/*.csv'), store (s3://…), table"
        " (postgresql://…, sqlite:///…, a Delta folder), API (https://…) or data set"
        " (hub:owner/name@revision), and propose the loop file.",
    ),
]
Shipped = Annotated[
    str | None,
    typer.Option(
        metavar="EXAMPLE", help="Begin with a loop that ships, and its data: see lakeloop examples."
    ),
]
Published = Annotated[
    str | None,
    typer.Option(
        "--from-dataset",
        metavar="FOLDER",
        help="With --example: the public data set in this folder, in place of generated data.",
    ),
]


@app.command(rich_help_panel=_PANEL)
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Small letters, digits and _.")],
    given: Looked = None,
    table: Annotated[str | None, typer.Option(help="Table or view of the database.")] = None,
    connection: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Connection with address or credentials: variable LAKELOOP_CONN_<NAME>."
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(help=f"What is predicted: {' or '.join(TASKS)}. With --from: as the answers are."),
    ] = None,
    text: Annotated[str | None, typer.Option(metavar="COLUMN", help="Column with the text.")] = None,
    answer: Annotated[
        str | None,
        typer.Option("--answer", "--label", metavar="COLUMN", help="Column with the right answer."),
    ] = None,
    key: Annotated[str | None, typer.Option(metavar="COLUMN", help="Column that names a record.")] = None,
    time: Annotated[str | None, typer.Option(metavar="COLUMN", help="Column that says when.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing: take the likeliest.")] = False,
    example: Shipped = None,
    dataset: Published = None,
) -> None:
    """Begin a loop: write its file, from a look at your data or as a template of about 15 lines to fill in.

    With --from the file is written from what is found in your data, with the reason of each choice; with
    --example it comes with days of data, and runs as it is.
    """
    from lakeloop.proposal.given import Pointer
    from lakeloop.settings import get_settings

    settings = get_settings()
    if example is not None or dataset is not None:
        _from_example(name, settings, example, dataset, [given, connection, task])
        return
    if given is None and connection is None:
        _from_template(name, settings, task or next(iter(TASKS)))
        return
    asked: dict[Part, str | None] = {"text": text, "answer": answer, "key": key, "time": time}
    said = {part: column for part, column in asked.items() if column}
    _from_data(Pointer(name, given or "", settings, table, connection), said, task, yes=yes)


def _from_template(name: str, settings: Settings, task: str) -> None:
    from lakeloop.cli.scaffold import scaffold
    from lakeloop.spec.reading.load import shown_path

    say_written([scaffold(name, settings, task)], settings)
    file = shown_path(settings.loop_file(name), settings)
    _say(
        f"\nNext: say in {file} what your columns and the task are, put a day's file where\n"
        "source.path says, and try it:\n"
        f"  lakeloop check {name}\n"
        f"  lakeloop ingest {name} --partition YYYY-MM-DD\n"
        "Or have the file written from data that is there: lakeloop new NAME --from FILE"
    )


def _from_example(
    name: str, settings: Settings, example: str | None, dataset: str | None, others: list[str | None]
) -> None:
    from lakeloop.cli.examples import begin_example
    from lakeloop.errors import ConfigurationError

    if example is None or any(others):
        raise ConfigurationError(
            "an example brings its own source and task",
            where="--example",
            expected="--example, perhaps --from-dataset, and not --from, --connection or --task",
            remedy="lakeloop examples says which there are",
        )
    begin_example(name, settings, example, dataset)


def _from_data(pointer: Pointer, said: dict[Part, str], task: str | None, *, yes: bool) -> None:
    from lakeloop.cli.scaffold import require_free, scaffold
    from lakeloop.proposal.preview import preview
    from lakeloop.proposal.propose import look_at, propose
    from lakeloop.spec.reading.load import load_named, shown_path

    name, settings = pointer.loop, pointer.settings
    require_free(name, settings)  # before minutes go into a look
    given = look_at(pointer)
    proposal = propose(name, given, said, task)
    doubts = [choice for choice in proposal.roles.all if choice.others]
    if doubts and not yes and _may_ask():
        answers = {choice.part: _ask(choice) for choice in doubts}
        proposal = propose(name, given, {**said, **answers}, task)
    _say_proposal(proposal)
    say_written([scaffold(name, settings, proposal.roles.task, proposal.text())], settings)
    loop = load_named(name, settings)
    look = preview(loop, settings)
    parts = {loop.source.stored(c.column.name) for c in proposal.roles.all if c.column}
    _say_preview(look, parts, loop)
    file = shown_path(settings.loop_file(name), settings)
    _say_variables(given)
    first = f" --from {look.days[0]} --to {look.days[-1]}" if look.days else ""
    _say(f"\nNext: read {file}, change what is wrong, and run it:\n  lakeloop run {name}{first}")


def _may_ask() -> bool:
    import sys

    return sys.stdin.isatty() and sys.stdout.isatty()


def _ask(choice: Choice) -> str:
    assert choice.column, "a doubt is about columns"
    known = [choice.column.name, *choice.others]
    while True:
        question = f"Which column is the {choice.part}? ({', '.join(known)})"
        found: str = typer.prompt(question, default=choice.column.name)
        if found in known:
            return found
        _say(f"One of {', '.join(known)}")


def _say_proposal(proposal: Proposal) -> None:
    sample = proposal.sample
    how = "all" if sample.whole else "the first"
    _say(f"{proposal.given.shown}: {proposal.given.what}, {how} {len(sample.rows)} records looked at")
    for choice in proposal.roles.all:
        chosen = choice.column.name if choice.column else "none"
        others = f"; or {', '.join(choice.others)}?" if choice.others else ""
        _say(f"  {choice.part:<8}{chosen}  ({choice.reason}{others})")
    if proposal.why:
        _say(f"  task    {proposal.roles.task}  ({proposal.why})")
    if answers := proposal.answers:
        shown = [f"{word} {times}" for word, times in answers.most_common(_SHOWN_ANSWERS)]
        more = f" and {len(answers) - _SHOWN_ANSWERS} more" if len(answers) > _SHOWN_ANSWERS else ""
        _say(f"  answers {', '.join(shown)}{more}")
    day = f"the day of {proposal.partition_by}" if proposal.partition_by else "said by the place"
    _say(f"  a day is {day}\n")


def _say_preview(look: Preview, parts: set[str], loop: LoopSpec) -> None:
    """What would be read; of a row the columns `parts`."""
    from lakeloop.cli.first_look import surprises_of_texts
    from lakeloop.spec.quoting import plain

    span = f", {look.days[0]} to {look.days[-1]}" if look.days else ""
    _say(f"\n{len(look.days)} day(s) there{span}; of the first {look.read} records {look.accepted} are rows")
    for row in look.rows:
        cells = [f"{name}={plain(str(row[name]), _CELL)}" for name in row if name in parts]
        _say(f"  row     {'  '.join(cells)}")
    for reject in look.rejects:
        _say(f"  refused line {reject.line}: {reject.reason}: {plain(reject.detail, 200)}")
    if look.fit:
        _say(
            f"  texts   {look.fit.unknown:.1%} of their tokens are unknown to the base model; the longest has"
            f" {look.fit.longest} tokens"
        )
    for warning in surprises_of_texts(look, loop):
        _say(f"  warning: {warning}")


def _say_variables(given: Given) -> None:
    """What the loop needs of the environment: it is in no file."""
    if given.variables:
        _say("\nNo secret is in the loop file. Have these set wherever it runs, Airflow's workers too:")
    for variable, shown in given.variables.items():
        _say(f"  export {variable}={repr(shown) if shown else '…  (set now)'}")


def say_written(paths: list[Path], settings: Settings) -> None:
    """Name files that were written, a line each."""
    from lakeloop.spec.reading.load import shown_path

    for path in paths:
        line = Text.assemble(("new", "green"), f"  {shown_path(path, settings)}")
        Console().print(line, highlight=False, soft_wrap=True)


def _say(text: str) -> None:
    Console().print(text, markup=False, highlight=False, soft_wrap=True)
