"""The verb `readmit`: rows of the quarantine come into their days once the rules, or they, were mended."""

from __future__ import annotations

import json as jsons
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lakeloop.cli.arguments import LoopName, known_loop
from lakeloop.cli.quarantine import Column, Day, Json, Reason
from lakeloop.errors import ConfigurationError, DataError

if TYPE_CHECKING:
    from lakeloop.stages.frame.edited import Problem
    from lakeloop.stages.frame.readmit import Cause, DayFate, Fate

app = typer.Typer()
_PANEL = "The loop"
_SHOWN_DAYS = 20
_SHOWN_REASONS = 3


Edited = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        dir_okay=False,
        help="Take rows in that were edited in this file, which quarantine --edit wrote.",
    ),
]
Why = Annotated[str, typer.Option(metavar="TEXT", help="Why they are right as they were edited; it is kept.")]


@app.command(rich_help_panel=_PANEL)
def readmit(
    loop: LoopName,
    reason: Reason = None,
    day: Day = None,
    column: Column = None,
    edited: Edited = None,
    why: Why = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would come in.")] = False,
    json: Json = False,
) -> None:
    """Let rows in from the quarantine that the loop file lets in now: their days are published anew.

    Days are read, built and judged again whose rules were mended since; counts go on adding up.
    """
    from lakeloop.cli.logs import err
    from lakeloop.cli.running import open_loop, user, working
    from lakeloop.quality.quarantine import Wanted
    from lakeloop.spec.days import require_day
    from lakeloop.stages.frame.readmit import look
    from lakeloop.stages.frame.readmit import readmit as let_in

    known_loop(loop)
    if edited is not None:
        _take_edited(loop, edited, why, dry_run=dry_run, as_json=json)
        return
    if day is not None:
        require_day(day, where="--day")
    wanted = Wanted(day, None, reason, column)
    context = open_loop(loop, {})
    with working("looking what would come in"):
        days = look(context, wanted)
    done: list[DayFate] = []
    if not dry_run and any(one.is_due for one in days):
        with err.status("letting rows in") as status:
            done = let_in(
                context,
                wanted,
                days,
                lambda event: status.update(f"{event.stage} {event.partition}"),
                user(),
            )
    _show(loop, days, done, dry_run=dry_run, as_json=json)


def _take_edited(loop: str, file: Path, why: str, *, dry_run: bool, as_json: bool) -> None:
    """Look at all rows of the file; when every one is right, keep them and do their days anew."""
    from lakeloop.cli.logs import err
    from lakeloop.cli.running import open_loop, user, working
    from lakeloop.local.status_view import console_for_people
    from lakeloop.stages.frame.edit_files import read_edits
    from lakeloop.stages.frame.edited import look_at_edits
    from lakeloop.stages.frame.readmit import correct

    if not why.strip():
        raise ConfigurationError("a change by hand needs a reason", where="readmit", expected="--why TEXT")
    context = open_loop(loop, {})
    with working("looking at the rows"):
        edits = look_at_edits(context, read_edits(context, file), why, user())
    if edits.problems:
        console_for_people().print(_problems(edits.problems))
        raise DataError(
            f"{len(edits.problems):,} of the rows would not come in; nothing was changed",
            where=f"readmit {loop} --edited {file}",
            expected="rows that are in quarantine, and that are read and judged as they are now",
            remedy="mend them, or take them out of the file; they stay in quarantine as they are",
        )
    gone = sum(one.record is None for one in edits.corrections)
    typer.echo(
        f"{len(edits.corrections) - gone:,} row(s) to take in, {gone:,} to leave out for good, "
        f"{edits.untouched:,} left as they were, {edits.known:,} taken in before",
        err=True,
    )
    if dry_run or not edits.corrections:
        return
    with err.status("letting rows in") as status:
        done = correct(
            context, edits.corrections, lambda event: status.update(f"{event.stage} {event.partition}")
        )
    _show(loop, done, done, dry_run=False, as_json=as_json)


def _problems(problems: Sequence[Problem]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("row", "from", "why it does not come in"):
        table.add_column(name, overflow="fold", justify="right" if name == "row" else "left")
    for one in problems:
        table.add_row(str(one.at), Text(one.place), Text(one.reason))
    return table


def _show(
    loop: str, days: Sequence[DayFate], done: Sequence[DayFate], *, dry_run: bool, as_json: bool
) -> None:
    """Print what became, or would become, of the rows; end as the first day that failed."""
    from lakeloop.local.status_view import console_for_people

    anew = {one.partition: one for one in done}
    shown = [anew.get(one.partition, one) for one in days]
    if as_json:
        typer.echo(jsons.dumps([_plain(one, anew) for one in shown], indent=2))
    else:
        console_for_people().print(_view(loop, shown, done, dry_run=dry_run))
    if failed := [one.exit_code for one in done if one.exit_code]:
        raise typer.Exit(failed[0])


def _plain(day: DayFate, anew: dict[str, DayFate]) -> dict[str, Any]:
    reasons = [
        {
            "stage": stage,
            "reason": reason,
            "column": column,
            "rows": fate.rows,
            "come_in": fate.come_in,
            "stay": dict(fate.stay),
        }
        for (stage, reason, column), fate in day.fates.items()
    ]
    return {"day": day.partition, "done": day.partition in anew, "note": day.note, "reasons": reasons}


def _view(loop: str, days: Sequence[DayFate], done: Sequence[DayFate], *, dry_run: bool) -> RenderableType:
    from lakeloop.spec.quoting import plain

    if not days:
        return Text("Nothing of that kind is in quarantine.")
    parts: list[RenderableType] = [_table(days, dry_run=dry_run)]
    told = [one for one in days if one.note]
    parts += [Text(f"{one.partition}: {plain(one.note, 500)}") for one in told[:_SHOWN_DAYS]]
    if len(told) > _SHOWN_DAYS:
        parts.append(Text(f"and {len(told) - _SHOWN_DAYS} more days, see --json"))
    due = [one.partition for one in days if one.is_due]
    if done:
        came = sum(one.come_in for one in done)
        parts.append(Text(f"{came:,} row(s) came in; done anew: {_listed([one.partition for one in done])}"))
        parts.append(Text(f"a training that is due now begins with: lakeloop run {loop}, or on schedule"))
    elif due:
        parts.append(Text(f"to be done anew: {_listed(due)}"))
    elif not any(one.come_in for one in days):
        hint = f"lakeloop quarantine {loop} --unknown lists the answers that the task does not know"
        parts.append(Text(f"Nothing comes in by the loop file as it is; {hint}"))
    return Group(*parts)


def _table(days: Sequence[DayFate], *, dry_run: bool) -> Table:
    from lakeloop.spec.quoting import plain

    causes: dict[Cause, list[Fate]] = defaultdict(list)
    for day in days:
        for cause, fate in day.fates.items():
            causes[cause].append(fate)
    table = Table(box=None, pad_edge=False, header_style="dim")
    come = "would come in" if dry_run else "came in"
    for name in ("stage", "reason", "column", "days", "rows", come, "stay", "because of"):
        right = name in ("days", "rows", come, "stay")
        table.add_column(name, overflow="fold", justify="right" if right else "left")
    for (stage, reason, column), fates in sorted(causes.items(), key=lambda item: -len(item[1])):
        stay: Counter[str] = sum((fate.stay for fate in fates), Counter())
        why = [f"{plain(code)} {rows:,}" for code, rows in stay.most_common(_SHOWN_REASONS)]
        more = f" and {len(stay) - len(why)} more" if len(stay) > len(why) else ""
        table.add_row(
            stage,
            Text(plain(reason)),
            Text(plain(column or "")),
            f"{len(fates):,}",
            f"{sum(fate.rows for fate in fates):,}",
            f"{sum(fate.come_in for fate in fates):,}",
            f"{stay.total():,}",
            Text(", ".join(why) + more),
        )
    return table


def _listed(days: Sequence[str]) -> str:
    return ", ".join(days) if len(days) <= 3 else f"{len(days)} days, {days[0]} to {days[-1]}"
