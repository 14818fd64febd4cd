"""The verb `doubts`: published rows whose answer is probably another, to look at, edit or leave out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from lakeloop.cli.arguments import LoopName, known_loop
from lakeloop.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lakeloop.evaluation.doubted import Doubt
    from lakeloop.stages.frame.session import StageContext

app = typer.Typer()
_CHARACTERS = 120

Quarantine = Annotated[
    list[str] | None,
    typer.Option(
        metavar="N|all|KEY", help="Leave the first N, all, or the row with this key out for good; with --why."
    ),
]
Review = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", dir_okay=False, help="Write them to edit (.csv, .jsonl), for readmit --edited."
    ),
]


@app.command(rich_help_panel="The loop")
def doubts(
    loop: LoopName,
    show: Annotated[int, typer.Option(min=0, help="How many to show.")] = 20,
    quarantine: Quarantine = None,
    review: Review = None,
    why: Annotated[str, typer.Option(metavar="TEXT", help="Why they are left out; it is kept.")] = "",
    json: Annotated[bool, typer.Option("--json", help="Print all as JSON, for other programs.")] = False,
) -> None:
    """List published rows whose answer is probably wrong, worst first (confident learning)."""
    from lakeloop.cli.running import open_loop, working
    from lakeloop.evaluation.doubted import require_doubtable
    from lakeloop.local.status_view import console_for_people
    from lakeloop.stages.frame.doubted import doubts_in, write_review

    require_doubtable(known_loop(loop)[0].task.kind)
    if quarantine and not why.strip():
        raise ConfigurationError("a change by hand needs a reason", where="doubts", expected="--why TEXT")
    context = open_loop(loop, {})
    with working("judging each row by a model that has not seen it"):
        looked = doubts_in(context)
    if json:
        lines = ",\n".join(doubt.model_dump_json() for doubt in looked.found)
        typer.echo(f"[{lines}]")
    else:
        console_for_people().print(_view(looked.found[:show]))
    few = f", {looked.left_out:,} of answers with few rows left out" if looked.left_out else ""
    typer.echo(f"{len(looked.found):,} of {looked.rows:,} rows are doubted{few}", err=True)
    if review is not None:
        count = write_review(context, looked.found, review)
        typer.echo(
            f"{count:,} row(s) in {review}: edit them, then readmit {loop} --edited {review}", err=True
        )
    if quarantine:
        _leave_out(context, looked.found, quarantine, why)


def _leave_out(context: StageContext, found: Sequence[Doubt], wanted: Sequence[str], why: str) -> None:
    from lakeloop.cli.logs import err
    from lakeloop.cli.running import user
    from lakeloop.stages.frame.doubted import chosen, left_out
    from lakeloop.stages.frame.readmit import correct

    corrections = left_out(context, chosen(found, wanted), why, user())
    with err.status("leaving rows out") as status:
        days = correct(context, corrections, lambda event: status.update(f"{event.stage} {event.partition}"))
    for day in days:
        if day.note:
            typer.echo(f"{day.partition}: {day.note}", err=True)
    done = [day.partition for day in days]
    typer.echo(f"{len(corrections):,} row(s) left out; done anew: {', '.join(done)}", err=True)
    if failed := [day.exit_code for day in days if day.exit_code]:
        raise typer.Exit(failed[0])


def _view(found: Sequence[Doubt]) -> Table:
    from lakeloop.spec.quoting import plain

    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("", "is", "more likely", "key", "day", "text"):
        table.add_column(name, overflow="fold", justify="right" if not name else "left")
    for number, doubt in enumerate(found, start=1):
        table.add_row(
            str(number),
            Text(f"{plain(doubt.given)} {doubt.given_probability:.2f}"),
            Text(f"{plain(doubt.suggested)} {doubt.suggested_probability:.2f}"),
            Text(plain(doubt.row_id)),
            doubt.partition,
            Text(plain(doubt.text, _CHARACTERS)),
        )
    return table
