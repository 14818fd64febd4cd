"""`LoopStatus` for a person at a terminal: where each stage is, what came in, which model answers and why.

The one drawing of it: `lakeloop status` and the end of the demo print the same panel. It fits the width that
it is given: where a table would squeeze the reasons into a narrow column, they stand below their stage.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from lakeloop.measures.base import shown, shown_with
from lakeloop.plural import waits_for_label
from lakeloop.records import Status
from lakeloop.spec.quoting import printable
from lakeloop.stages.frame.status import LoopStatus, StageStatus

COLOURS: Mapping[Status, str] = {
    "done": "green",
    "unchanged": "cyan",
    "skipped": "cyan",
    "refused": "yellow",
    "reset": "yellow",
}

_DAYS_SHOWN = 10
_DUE_SHOWN = 8
_WHOLE_FAILURES = 2
_ROOM_FOR_REASONS = 110
"""Columns from which a reason has a column of its own beside the other five."""
_NAME_WIDTH = 15
_WIDTH_OF_A_PIPE = 120


def console_for_people() -> Console:
    """Standard output as wide as the terminal; a pipe has no width of its own, and is given room."""
    plain = Console()
    return plain if plain.is_terminal or "COLUMNS" in os.environ else Console(width=_WIDTH_OF_A_PIPE)


def status_panel(status: LoopStatus) -> Panel:
    """Everything about one loop."""
    parts: list[RenderableType] = [Text(status.description, style="italic")]
    if status.stages:
        parts += [_Stages(status.stages), _days(status)]
    else:
        begun = "ended well" if status.failed else "ran"
        parts.append(Text(f"Nothing {begun} yet. Begin: lakeloop run {status.loop}"))
    parts.append(_facts(status))
    return Panel(
        Group(*(Padding(part, (0, 0, 1, 0)) for part in parts[:-1]), parts[-1]),
        title=Text(status.loop, style="bold"),
        title_align="left",
        subtitle=f"{status.at:%Y-%m-%d %H:%M} UTC",
        subtitle_align="right",
    )


@dataclass(frozen=True)
class _Stages:
    """How each stage ended last, as wide as there is room."""

    stages: tuple[StageStatus, ...]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if options.max_width >= _ROOM_FOR_REASONS:
            yield self._table()
            return
        for stage in self.stages:
            ended = (f"{stage.status:<9}", COLOURS[stage.status])
            when = f" {stage.finished_at:%m-%d %H:%M} {stage.seconds:8.1f} s"
            yield Text.assemble(f"{stage.stage:<{_NAME_WIDTH}} {stage.partition} ", ended, (when, "dim"))
            yield Padding(Text(stage.reason), (0, 0, 0, 2))

    def _table(self) -> Table:
        table = _table("stage", "day", "ended", "when (UTC)", "seconds", "why")
        table.columns[4].justify = "right"
        for stage in self.stages:
            table.add_row(
                stage.stage,
                stage.partition,
                Text(stage.status, style=COLOURS[stage.status]),
                f"{stage.finished_at:%m-%d %H:%M}",
                f"{stage.seconds:.1f}",
                Text(stage.reason),
            )
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
    found = "every row accounted for" if all(day.reconciled for day in status.partitions) else "ROWS MISSING"
    found += f"; {waits_for_label(total.waiting)}" if total.waiting else ""
    table.add_row(name, *map(str, sums), f"{status.checks_passed}/{status.checks_total}", found)
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
        score = "" if champion.score is None else f", {champion.metric} {shown(champion.score)}"
        serving = "rolled out" if champion.rolled_out else "not rolled out yet"
        since = f"since {champion.since:%Y-%m-%d %H:%M}"
        how = ", ".join(part for part in (champion.candidate, champion.method) if part)
        yield (
            "champion",
            f"{champion.version} ({how}{score}) {since}, {serving}; sha256 {champion.digest[:16]}",
        )
    else:
        yield "champion", "none yet"
    yield from _decided(status)
    if status.scores:
        told = (
            f"{name} {shown_with(score, status.intervals.get(name))}" for name, score in status.scores.items()
        )
        yield "scores", ", ".join(told)
    yield from _experiments(status)
    yield from _at_work(status)
    if status.cost.trainings:
        yield "cost", status.cost.sentence
    if budget := status.budget:
        over = f"; no training before {budget.until:%Y-%m-%d}" if budget.exhausted else ""
        yield "budget", f"{budget.sentence}{over}"
    yield from _failures(status)
    for step in status.pending[:_DUE_SHOWN]:
        yield "due", f"{step.stage} {step.partition}: {step.reason}"
    if (more := len(status.pending) - _DUE_SHOWN) > 0:
        yield "", f"and {more} more, see --json"
    if status.misfit:
        yield "stands", status.misfit
    if status.left_alone:
        yield "older", status.left_alone
    yield from _refused_runs(status)
    yield from status.links.items()


def _decided(status: LoopStatus) -> Iterator[tuple[str, str]]:
    if asked := status.asked:
        yield "approval", f"waits: {asked.what}; answer in Airflow (Required Actions) or by {asked.command}"
    if trial := status.trial:
        yield "trial", f"{trial.where}: {trial.reason}"
    elif status.trial_ended:
        yield "trial", status.trial_ended
    if decision := status.decision:
        accepted = "accepted" if decision.accepted else "refused"
        yield "gate", f"{accepted} {decision.partition}: {decision.reason}"


def _experiments(status: LoopStatus) -> Iterator[tuple[str, str]]:
    for each in status.experiments[:_DUE_SHOWN]:
        scores = ", ".join(f"{name} {shown(score)}" for name, score in each.scores.items())
        left = f"trained, not evaluated: lakeloop evaluate {status.loop} --experiment {each.name}"
        found = f"{scores}; {each.report}" if scores else left
        yield "experiment", f"{each.name}, {each.partition}, {each.at:%m-%d %H:%M}: {found}"
    if (more := len(status.experiments) - _DUE_SHOWN) > 0:
        yield "", f"and {more} earlier experiments, see --json"


def _at_work(status: LoopStatus) -> Iterator[tuple[str, str]]:
    for activity in status.running:
        yield "running", f"{activity.stage} {activity.partition}"
    for job in status.queue:
        yield "waits", f"{job.stage} {job.partition}: {job.sentence}"


def _failures(status: LoopStatus) -> Iterator[tuple[str, str]]:
    """The newest failures whole, the cause is in their last lines; of others the first line."""
    shown = status.failed[-_DUE_SHOWN:]
    for place, failure in enumerate(shown, start=1):
        lines = printable(failure.reason).split("\n")
        why = "\n".join(lines if place > len(shown) - _WHOLE_FAILURES else lines[:1])
        yield "failed", f"{failure.stage} {failure.partition}, {failure.at:%m-%d %H:%M}: {why}"
    if (more := len(status.failed) - len(shown)) > 0:
        yield "", f"and {more} earlier failures, see --json"


def _refused_runs(status: LoopStatus) -> Iterator[tuple[str, str]]:
    shown = status.refused_runs[-_DUE_SHOWN:]
    for run in shown:
        yield "W&B refuses", f"{run.stage} {run.partition}, {run.at:%m-%d %H:%M}: {printable(run.reason)}"
    if shown:
        more = len(status.refused_runs) - len(shown)
        yield "", f"{f'and {more} more; ' if more else ''}to try again: lakeloop mirror --again"


def _table(*names: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in names:
        table.add_column(name, overflow="fold")
    return table
