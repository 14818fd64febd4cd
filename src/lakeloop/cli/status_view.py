"""`LoopStatus` as tables for a person: where each stage is, what came in, which model answers and why."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from lakeloop.cli.report import COLOURS
from lakeloop.stages.status import LoopStatus

_DAYS_SHOWN = 10


def status_panel(status: LoopStatus) -> Panel:
    """Everything about one loop."""
    parts: list[RenderableType] = [Text(status.description, style="italic")]
    if status.stages:
        parts += [_stages(status), _days(status)]
    else:
        parts.append(Text(f"Nothing ran yet. Begin: lakeloop run {status.loop}"))
    parts.append(_facts(status))
    return Panel(
        Group(*(Padding(part, (0, 0, 1, 0)) for part in parts[:-1]), parts[-1]),
        title=Text(status.loop, style="bold"),
        title_align="left",
        subtitle=f"{status.at:%Y-%m-%d %H:%M} UTC",
        subtitle_align="right",
    )


def _stages(status: LoopStatus) -> Table:
    table = _table("stage", "day", "ended", "when (UTC)", "seconds", "why")
    for stage in status.stages:
        table.add_row(
            stage.stage,
            stage.partition,
            Text(stage.status, style=COLOURS[stage.status]),
            f"{stage.finished_at:%m-%d %H:%M}",
            f"{stage.seconds:.1f}",
            Text(stage.reason),
        )
    table.columns[4].justify = "right"
    return table


def _days(status: LoopStatus) -> Table:
    table = _table("day", "read", "accepted", "quarantined", "duplicates", "checks", "in the mart")
    hidden = status.partitions[:-_DAYS_SHOWN]
    for day in status.partitions[-_DAYS_SHOWN:]:
        counts = (day.read, day.accepted, day.quarantined, day.duplicates)
        marked = day.in_the_mart if day.reconciled else "the counts do not add up"
        checks = f"{day.checks_passed}/{day.checks_total}"
        table.add_row(day.partition, *map(str, counts), checks, marked)
    total = status.totals
    sums = (total.read, total.accepted, total.quarantined, total.duplicates)
    name = f"all {len(status.partitions)}" if hidden else "all"
    table.add_section()
    table.add_row(name, *map(str, sums), f"{status.checks_passed}/{status.checks_total}", "")
    for column in table.columns[1:6]:
        column.justify = "right"
    return table


def _facts(status: LoopStatus) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, text in _named_facts(status):
        grid.add_row(name, Text(text))
    return grid


def _named_facts(status: LoopStatus) -> Iterator[tuple[str, str]]:
    if champion := status.champion:
        score = "" if champion.score is None else f", {champion.metric} {champion.score:.4f}"
        serving = "rolled out" if champion.rolled_out else "not rolled out yet"
        since = f"since {champion.since:%Y-%m-%d %H:%M}"
        model = f"{champion.version} ({champion.candidate}, {champion.method}{score})"
        yield "champion", f"{model} {since}, {serving}"
    else:
        yield "champion", "none yet"
    if decision := status.decision:
        yield (
            "gate",
            f"{'accepted' if decision.accepted else 'refused'} {decision.partition}: {decision.reason}",
        )
    if status.scores:
        yield "scores", ", ".join(f"{name} {score:.4f}" for name, score in status.scores.items())
    for step in status.pending:
        yield "due", f"{step.stage} {step.partition}: {step.reason}"
    yield from status.links.items()


def _table(*names: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in names:
        table.add_column(name, overflow="fold")
    return table
