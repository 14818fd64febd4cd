"""What a person sees while all stages run: a bar on stderr, a line for each step, a table at the end."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from types import TracebackType
from typing import Self, get_args

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from lakeloop.cli.logs import err
from lakeloop.local.status_view import COLOURS
from lakeloop.records import Status
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.quoting import printable
from lakeloop.stages.catalogue import DATA, STAGES
from lakeloop.stages.frame.run import RunEvent

_OF_A_DAY = len(DATA)


class RunView:
    """Follows the events of `lakeloop.stages.frame.run`."""

    def __init__(self, loop: LoopSpec, days: Sequence[str]) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=err,
            transient=True,
        )
        # An upper bound: days without a drop and trainings that are not due take fewer steps.
        once = sum(
            len(loop.train.all_candidates) if stage.per == "candidate" else 1
            for stage in STAGES
            if stage.phase == "training" or stage.dag == "deploy"
        )
        self._task = self._progress.add_task(loop.name, total=len(days) * _OF_A_DAY + once)
        self._ended: dict[str, list[RunEvent]] = defaultdict(list)
        self.left_out: list[str] = []
        """What was not done, and why, a line each."""

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, event: RunEvent) -> None:
        """Show that a step began or how it ended."""
        if event.state == "started":
            self._progress.update(self._task, description=f"{event.stage} {event.partition}")
            return
        self._progress.advance(self._task)
        if event.state == "left out":
            self.left_out.append(f"left out: {event.stage} {event.partition}, {event.message}")
            return
        self._ended[event.stage].append(event)
        status = _how(event)
        if status == "unchanged":  # the table counts them; a line each hides those that say something
            return
        colour = COLOURS[event.record.status] if event.record else "red" if status else "default"
        line = Text.assemble(
            f"{event.partition}  {event.stage:<15} ", (f"{status:<10}", colour), printable(event.message)
        )
        err.print(line, soft_wrap=True)

    def summary(self) -> Table:
        """How the steps of each stage ended, and the seconds of those that did something."""
        table = Table(box=None, pad_edge=False, header_style="dim")
        ends = (*get_args(Status), "failed")
        for name in ("stage", *ends, "seconds"):
            table.add_column(name, justify="left" if name == "stage" else "right")
        for stage, events in self._ended.items():
            records = [event.record for event in events if event.record]
            how = Counter(_how(event) for event in events if _how(event))
            if not how:
                continue
            seconds = sum(r.provenance.seconds for r in records if r.status != "unchanged")
            counts = (str(how[end] or "") for end in ends)
            table.add_row(stage, *counts, f"{seconds:.1f}")
        return table


def _how(event: RunEvent) -> str:
    """How a step ended; empty for what is no stage, such as the plan."""
    if event.record:
        return event.record.status
    return "failed" if event.state == "failed" else ""
