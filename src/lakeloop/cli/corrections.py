"""The verb `corrections`: what people made of records, who and why; and one of them is taken back."""

from __future__ import annotations

import json as jsons
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from lakeloop.cli.arguments import LoopName, known_loop
from lakeloop.cli.quarantine import Day, Json
from lakeloop.errors import ConfigurationError

if TYPE_CHECKING:
    from lakeloop.lake.corrections import Numbered

app = typer.Typer()
_SHOWN_CHARACTERS = 200

TakeBack = Annotated[
    list[int] | None,
    typer.Option(
        "--take-back",
        metavar="NUMBER",
        help="Have the record read as it was delivered again, and do its day anew; may be given many times.",
    ),
]
Why = Annotated[str, typer.Option(metavar="TEXT", help="Why one is taken back; it is kept.")]


@app.command(rich_help_panel="The loop")
def corrections(
    loop: LoopName, day: Day = None, take_back: TakeBack = None, why: Why = "", json: Json = False
) -> None:
    """List what people made of records of the quarantine: which, who, when and why; or take one back."""
    from lakeloop.cli.running import open_loop
    from lakeloop.lake.corrections import all_corrections
    from lakeloop.local.status_view import console_for_people
    from lakeloop.spec.days import require_day

    known_loop(loop)
    if take_back:
        _take_back(loop, take_back, why)
        return
    if day is not None:
        require_day(day, where="--day")
    found = [
        each
        for each in all_corrections(open_loop(loop, {}).lake)
        if day is None or each.correction.partition == day
    ]
    if json:
        typer.echo(jsons.dumps([_plain(each) for each in found], indent=2))
    else:
        console_for_people().print(_table(found) if found else Text("No record was corrected."))


def _take_back(loop: str, numbers: Sequence[int], why: str) -> None:
    from lakeloop.cli.logs import err
    from lakeloop.cli.running import open_loop, user
    from lakeloop.stages.frame.readmit import correct
    from lakeloop.stages.frame.taken_back import take_back

    if not why.strip():
        raise ConfigurationError(
            "a change by hand needs a reason", where="corrections", expected="--why TEXT"
        )
    context = open_loop(loop, {})
    made = take_back(context, numbers, why, user())
    with err.status("doing their days anew") as status:
        done = correct(context, made, lambda event: status.update(f"{event.stage} {event.partition}"))
    typer.echo(f"{len(made)} taken back; done anew: {', '.join(one.partition for one in done)}")
    for one in done:
        if one.note:
            typer.echo(f"{one.partition}: {one.note}")
    if failed := [one.exit_code for one in done if one.exit_code]:
        raise typer.Exit(failed[0])


def _state(each: Numbered) -> str:
    if not each.counts:
        return "no more"
    return "takes back" if each.correction.taken_back else "counts"


def _plain(each: Numbered) -> dict[str, Any]:
    fields = each.correction.model_dump(mode="json")
    return {"number": each.number, "state": _state(each), **fields}


def _table(found: Sequence[Numbered]) -> Table:
    from lakeloop.spec.quoting import plain

    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("number", "day", "record", "state", "is read as", "who", "when (UTC)", "why"):
        table.add_column(name, overflow="fold", justify="right" if name == "number" else "left")
    for each in found:
        one = each.correction
        read_as = "as delivered" if one.taken_back else "left out" if one.record is None else one.record
        table.add_row(
            str(each.number),
            one.partition,
            Text(f"{plain(one.source_file, _SHOWN_CHARACTERS)}, line {one.source_line}"),
            _state(each),
            Text(plain(read_as, _SHOWN_CHARACTERS)),
            Text(plain(one.corrected_by)),
            f"{one.corrected_at:%Y-%m-%d %H:%M}",
            Text(plain(one.why, _SHOWN_CHARACTERS)),
        )
    return table
