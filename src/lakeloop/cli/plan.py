"""The verb `plan`: whether a training is due, and what its data set would be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import typer
from rich.table import Table
from rich.text import Text

from lakeloop.cli.arguments import AsJson, LoopName
from lakeloop.cli.stage_verbs import Set
from lakeloop.plural import counted

if TYPE_CHECKING:
    from lakeloop.stages.training.preview import Plan, Sides

app = typer.Typer()
_MOST_DAYS, _MOST_ANSWERS = 14, 40


@app.command(rich_help_panel="The loop")
def plan(loop: LoopName, set_: Set = None, json: AsJson = False) -> None:
    """Show whether a training is due, which rows would train and test it, and what is suspicious of them."""
    from lakeloop.cli.running import open_loop, overrides, working
    from lakeloop.local.status_view import console_for_people
    from lakeloop.stages.training.preview import plan as plan_of

    context = open_loop(loop, overrides(set_ or []))
    with working(f"dealing the rows of {loop}"):
        found = plan_of(context)
    if json:
        typer.echo(found.model_dump_json(indent=2))
        return
    console_for_people().print(*shown(found), sep="\n")


def shown(found: Plan) -> Iterator[Any]:
    """What a person reads of `found`, line by line."""
    yield Text.assemble(("train" if found.due else "do not train", "bold"), f": {found.decision}")
    if not found.rows:
        return
    yield Text(f"split {found.split}; {found.left_out:,} row(s) left out\n")
    days = dict(sorted(found.days.items(), reverse=True)[:_MOST_DAYS])
    yield _table("day", days, found.rows, len(found.days))
    if found.answers:
        yield _table("answer", dict(list(found.answers.items())[:_MOST_ANSWERS]), {}, len(found.answers))
    if found.missing:
        yield Text(f"answers: {found.missing}\n", style="yellow")
    yield from _leaks(found)


def _table(what: str, rows: Mapping[str, Sides], total: Sides, count: int) -> Table:
    table = Table(what, box=None, pad_edge=False)
    for name in next(iter(rows.values()), {}):
        table.add_column(name, justify="right")
    for name, sides in rows.items():
        table.add_row(name, *(f"{number:,}" for number in sides.values()))
    if count > len(rows):
        table.add_row(Text(f"and {count - len(rows)} more", style="dim"))
    if total:
        table.add_row(Text("all", style="bold"), *(f"{number:,}" for number in total.values()))
    return table


def _leaks(found: Plan) -> Iterator[Text]:
    leaks = found.leaks.leaks
    if leaks:
        yield Text(f"{counted(len(leaks), 'leak')} suspected", style="bold yellow")
    else:
        yield Text("leaks: none suspected", style="green")
    for leak in leaks:
        yield Text.assemble((f"  {leak.kind}", "yellow"), f" {leak.column}: {leak.found}")
        for each in leak.examples:
            yield Text(f"    {each.where}: {each.said}", style="dim")
    for kind, why in found.leaks.not_looked.items():
        yield Text(f"  {kind} is not looked for: {why}", style="dim")
