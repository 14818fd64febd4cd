"""The verb `quarantine`: what lies in a loop's quarantine and why, the rows themselves, a copy of them."""

from __future__ import annotations

import json as jsons
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from lakeloop.cli.arguments import LoopName, known_loop

if TYPE_CHECKING:
    from lakeloop.lake.store import Lake
    from lakeloop.quality.quarantine import Row, SetAside, Wanted
    from lakeloop.stages.frame.unknown import UnknownAnswer

app = typer.Typer()
_PANEL = "The loop"
_ALL = 1_000_000_000
_DETAIL_CHARACTERS = 2000
_SHOWN_ANSWERS = 20


Reason = Annotated[str | None, typer.Option(help="Only rows with this reason code.")]
Day = Annotated[str | None, typer.Option(metavar="YYYY-MM-DD", help="Only rows of this day.")]
Column = Annotated[str | None, typer.Option(help="Only rows with a reason about this column.")]
Stage = Annotated[
    str | None,
    typer.Option(metavar="STAGE", help="Only rows that this stage refused: ingest, labels, validate."),
]
Show = Annotated[int, typer.Option(metavar="N", min=0, help="Show the first N of the rows, whole.")]
To = Annotated[
    Path | None,
    typer.Option(
        "--export", metavar="FILE", dir_okay=False, help="Write the rows there: .jsonl, .csv or .parquet."
    ),
]
Edit = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        dir_okay=False,
        help="Write the rows there by their columns, to be edited: .jsonl or .csv. readmit --edited takes"
        " them back.",
    ),
]
Unknown = Annotated[bool, typer.Option("--unknown", help="List the answers that the task does not know.")]
Json = Annotated[bool, typer.Option("--json", help="Print it as JSON, for other programs.")]


@app.command(rich_help_panel=_PANEL)
def quarantine(
    loop: LoopName,
    reason: Reason = None,
    day: Day = None,
    column: Column = None,
    stage: Stage = None,
    show: Show = 0,
    to: To = None,
    edit: Edit = None,
    unknown: Unknown = False,
    json: Json = False,
) -> None:
    """Show what was set aside, by reason, column and day; --show shows the rows, --export copies them."""
    if unknown:
        _unknown_answers(loop, as_json=json)
        return
    from lakeloop.cli.running import working
    from lakeloop.lake.store import Lake
    from lakeloop.local.status_view import console_for_people
    from lakeloop.quality.quarantine import Wanted, export, reasons, rows
    from lakeloop.spec.days import require_day

    spec, settings = known_loop(loop)
    if day is not None:
        require_day(day, where="--day")
    wanted = Wanted(day, stage, reason, column)
    with working("reading the quarantine"):
        lake = Lake.from_settings(settings, spec)
        counted = reasons(lake, wanted)
        first = rows(lake, wanted, limit=show) if show else []
        written = export(lake, wanted, to) if to else 0
        to_edit = _write_to_edit(loop, wanted, edit) if edit else 0
    if json:
        parts = {
            "counts": [one.model_dump() for one in counted],
            "rows": [row.model_dump() for row in first],
        }
        typer.echo(jsons.dumps(parts, indent=2))
    else:
        console_for_people().print(_view(counted, first) if counted else _nothing(lake, wanted))
    if to:
        typer.echo(f"{written} row(s) written to {to}", err=True)
    if edit:
        typer.echo(
            f"{to_edit} row(s) written to {edit}; edited, they come in with:"
            f" lakeloop readmit {loop} --edited {edit} --why TEXT",
            err=True,
        )


def _write_to_edit(loop: str, wanted: Wanted, file: Path) -> int:
    from lakeloop.cli.running import open_loop
    from lakeloop.stages.frame.edited import write_to_edit

    return write_to_edit(open_loop(loop, {}, looking=True), wanted, file)


def _unknown_answers(loop: str, *, as_json: bool) -> None:
    from lakeloop.cli.running import open_loop, working
    from lakeloop.local.status_view import console_for_people
    from lakeloop.stages.frame.unknown import unknown_answers

    with working("reading the ledger"):
        found = unknown_answers(open_loop(loop, {}, looking=True), _SHOWN_ANSWERS)
    if as_json:
        typer.echo(jsons.dumps([one.model_dump() for one in found], indent=2))
    elif not found:
        typer.echo("No row is in quarantine for an answer that the task does not know.")
    else:
        console_for_people().print(_unknown_view(loop, found))


def _unknown_view(loop: str, found: Sequence[UnknownAnswer]) -> RenderableType:
    """The answers as a table, and how their rows come in."""
    from lakeloop.spec.quoting import plain, quote

    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("answer", "rows", "days", "", "one of them"):
        table.add_column(name, overflow="fold", justify="right" if name in ("rows", "days") else "left")
    for one in found[:_SHOWN_ANSWERS]:
        row = one.example
        shown = f"{row.partition}, line {row.source_line}: {plain(row.raw, 160)}" if row else one.newest
        hint = "known now" if one.known else f"is it {quote(one.close)}?" if one.close else ""
        table.add_row(Text(plain(one.answer)), f"{one.rows:,}", f"{one.days:,}", Text(hint), Text(shown))
    more = len(found) - _SHOWN_ANSWERS
    parts: list[RenderableType] = [table]
    if more > 0:
        parts.append(Text(f"and {more} more answers, see --json"))
    if any(one.known for one in found):
        parts.append(Text(f"What is known now comes in with: lakeloop readmit {loop}, or by maintenance"))
    parts.append(
        Text("To take an answer in, add it to those of section task in the loop file: then its rows come in")
    )
    return Group(*parts)


def _nothing(lake: Lake, wanted: Wanted) -> Text:
    """That there are no such rows, and which there are."""
    from lakeloop.quality.quarantine import Wanted, reasons
    from lakeloop.spec.quoting import plain

    there = sorted({plain(one.reason) for one in reasons(lake, Wanted())} if wanted != Wanted() else ())
    if not there:
        return Text("Nothing is in quarantine.")
    return Text(f"Nothing of that kind is in quarantine. The reasons there are: {', '.join(there)}")


def _view(counted: Sequence[SetAside], first: Sequence[Row]) -> RenderableType:
    """The counts as a table, then each row with the place that it came from."""
    parts: list[RenderableType] = [_counts(counted)]
    for row in first:
        parts += [Text(), *_row(row)]
    return Group(*parts)


def _counts(counted: Sequence[SetAside]) -> Table:
    from lakeloop.spec.quoting import plain

    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("day", "stage", "reason", "column", "rows", "the first of them"):
        table.add_column(name, overflow="fold", justify="right" if name == "rows" else "left")
    for one in counted:
        example = f"line {one.first_line}: " if one.first_line is not None else ""
        table.add_row(
            one.partition,
            one.stage,
            Text(plain(one.reason)),
            Text(plain(one.column or "")),
            f"{one.rows:,}",
            Text(example + plain(one.first_detail.removeprefix(f"{one.reason}: "), 160)),
        )
    table.add_section()
    table.add_row("all", "", "", "", f"{sum(one.rows for one in counted):,}", "")
    return table


def _row(row: Row) -> list[RenderableType]:
    """Where the row is from and why it is here; then the row, whole, no control character as it is."""
    from lakeloop.spec.quoting import plain

    form = f" · {row.form}" if row.form else ""
    offset = "" if row.byte_offset is None else f", byte {row.byte_offset}"
    place = f"{plain(row.source_file, 500)}, line {row.source_line}{offset}"
    key = "" if row.row_key is None else f" · key {plain(row.row_key)}"
    title = Text.assemble(
        (f"{row.partition} {row.stage} ", "dim"), (plain(row.reason), "bold"), f" · {place}{key}{form}"
    )
    return [
        title,
        Padding(Text(plain(row.detail, _DETAIL_CHARACTERS)), (0, 0, 0, 2)),
        Padding(Text(plain(row.raw, _ALL), style="cyan"), (0, 0, 0, 2)),
    ]
