"""The verb `impact`: what was made of a day's rows, before and after the day was delivered again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from lakeloop.cli.arguments import LoopName

if TYPE_CHECKING:
    from lakeloop.registry.impact import Edition, Impact, Learnt

app = typer.Typer()


@app.command(rich_help_panel="The loop")
def impact(
    loop: LoopName,
    partition: Annotated[str, typer.Option("--partition", "-p", metavar="YYYY-MM-DD", help="The day.")],
    json: Annotated[bool, typer.Option("--json", help="Print it as JSON, for other programs.")] = False,
) -> None:
    """Show which data sets, models and answers were made of a day's rows, for each time it was published."""
    from lakeloop.cli.running import open_loop, working
    from lakeloop.local.status_view import console_for_people
    from lakeloop.registry.impact import impact_of
    from lakeloop.registry.registry import Registry
    from lakeloop.spec.days import require_day

    require_day(partition, where="--partition")
    context = open_loop(loop, {})
    with working(f"reading the ledger of {loop}"):
        found = impact_of(context.lake, Registry(context.lake, context.attempt).read(), partition)
    if json:
        typer.echo(found.model_dump_json(indent=2))
        return
    console = console_for_people()
    if not found.editions:
        console.print(f"{partition} was never published: lakeloop run {loop} --partition {partition}")
        return
    for number, edition in enumerate(found.editions, start=1):
        console.print(_title(edition, number, len(found.editions)), _made_of(edition), Text())
    console.print(_sum(found))


def _title(edition: Edition, number: int, count: int) -> Text:
    until = f"until {edition.replaced_at:%Y-%m-%d %H:%M}" if edition.replaced_at else "published now"
    drop = f", from {edition.drop.removeprefix('sha256:')[:12]}" if edition.drop else ""
    return Text.assemble(
        (f"{number} of {count}", "bold"),
        f"  {edition.published_at:%Y-%m-%d %H:%M} UTC, {until}: {edition.rows:,} rows "
        f"({edition.digest.rpartition(':')[2][:12]}), {edition.quarantined:,} in quarantine{drop}",
    )


def _made_of(edition: Edition) -> Table | Text:
    if not edition.datasets:
        return Text("nothing was made of these rows", style="dim")
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("data set", "days", "rows", "model", "trained (UTC)", "version", "answers"):
        table.add_column(name, overflow="fold", justify="right" if name in ("rows", "answers") else "left")
    for data in edition.datasets:
        first = (data.digest[:12], data.days, f"{data.rows:,}")
        if not data.trainings:
            table.add_row(*first, Text("not trained on", style="dim"), "", "", "")
        for place, one in enumerate(data.trainings):
            table.add_row(*(first if not place else ("", "", "")), *_trained(one))
    return table


def _trained(one: Learnt) -> tuple[str, str, str, str]:
    apart = f" (experiment {one.experiment})" if one.experiment else ""
    named = f"{one.version} ({', '.join(one.aliases)})" if one.aliases else one.version
    answers = f"{one.answers:,}" if one.version else ""
    return f"{one.candidate} {one.digest[:12]}{apart}", f"{one.trained_at:%Y-%m-%d %H:%M}", named, answers


def _sum(found: Impact) -> Text:
    if len(found.editions) == 1:
        return Text("The day was published with these rows alone.")
    if not found.outdated:
        return Text("No version learnt from rows of the day that are published no more.")
    names = ", ".join(f"{one.version} ({one.answers:,} answers)" for one in found.outdated)
    return Text(
        f"Learnt from rows that are published no more: {names}. The next training takes the new ones; "
        f"lakeloop why {found.loop} says when it is due.",
        style="yellow",
    )
