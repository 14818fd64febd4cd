"""The demo's last page: what came out, why, how long it took, where to look. Lays out, decides nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

from lakeloop.errors import ServiceError
from lakeloop.local.drive import Outcome, TaskTime
from lakeloop.local.state import Stack
from lakeloop.local.status_view import status_panel
from lakeloop.serving.client import ModelServer
from lakeloop.serving.keys import own_key
from lakeloop.stages.catalogue import DAGS
from lakeloop.stages.frame.session import StageContext
from lakeloop.stages.frame.status import loop_status
from lakeloop.tasks.reading import smoke_instances


def show_summary(
    console: Console,
    context: StageContext,
    stack: Stack,
    outcome: Outcome,
    steps: Sequence[tuple[str, float]],
) -> None:
    """Print the state of the loop, the outcome of this run and the answers of the model server."""
    status = loop_status(context)
    console.print(status_panel(status))
    _print_answers(console, context, stack)
    _print_unchanged(console, outcome)
    console.print(_times(outcome, steps))
    console.print(_places(context, stack))
    for failure in outcome.failures:
        console.print(f"[bold red]FAILED[/] {failure}", highlight=False)
    if not outcome.failures:
        console.print("[bold green]Every stage went well.[/]")


def _print_answers(console: Console, context: StageContext, stack: Stack) -> None:
    rows = smoke_instances(context.loop)
    if not rows:
        return
    with ModelServer(
        stack.server_url, context.loop.name, own_key(context.settings.serve_keys_file)
    ) as server:
        try:
            told = server.ask(rows)
        except ServiceError as error:
            console.print(str(error), style="red", markup=False, highlight=False)
            return
    console.print(f"Asked {server.url}{server.path}, answered by {told.version}:", highlight=False)
    for row, shown in zip(rows, told.shown, strict=True):
        console.print(f"  {shown:<20} {row.shown}", highlight=False, markup=False)


def _print_unchanged(console: Console, outcome: Outcome) -> None:
    ran = sum(task.state == "success" for task in outcome.tasks)
    skipped = sum(task.state == "skipped" for task in outcome.tasks)
    console.print(f"\nTasks      {ran} ran, {skipped} had nothing to do", highlight=False)
    if not ran:
        console.print("           Nothing has changed since the last run: nothing was done again.")
    for (dag_id, task_id), tasks in _by_task(t for t in outcome.tasks if t.reason).items():
        days = ", ".join(task.partition for task in tasks)
        console.print(f"  {dag_id} · {task_id} of {days}\n    {tasks[-1].reason}", highlight=False)


def _times(outcome: Outcome, steps: Sequence[tuple[str, float]]) -> Table:
    table = Table(title="Time", title_justify="left")
    table.add_column("step")
    table.add_column("tasks", justify="right")
    table.add_column("seconds of work", justify="right")
    table.add_column("longest", justify="right")
    for name, seconds in steps:
        table.add_row(name, "", f"{seconds:.0f}", "")
    table.add_section()
    for (dag_id, task_id), tasks in _by_task(t for t in outcome.tasks if t.seconds).items():
        each = [task.seconds for task in tasks]
        table.add_row(f"{dag_id} · {task_id}", str(len(tasks)), f"{sum(each):.1f}", f"{max(each):.1f}")
    return table


def _by_task(tasks: Iterable[TaskTime]) -> dict[tuple[str, str], list[TaskTime]]:
    found: dict[tuple[str, str], list[TaskTime]] = defaultdict(list)
    order = {stage: position for position, stage in enumerate(DAGS)}
    started = [task for task in tasks if task.start]
    for task in sorted(started, key=lambda t: (order.get(t.dag_id.rsplit(".", 1)[1], 99), str(t.start))):
        found[task.dag_id, task.task_id].append(task)
    return found


def _places(context: StageContext, stack: Stack) -> Table:
    table = Table(title="Where to look", title_justify="left", show_header=False, box=None)
    table.add_column("what")
    table.add_column("where", overflow="fold")
    table.add_row("Lakeloop page", f"{stack.airflow_url}/plugin/lakeloop")
    for stage in DAGS:
        table.add_row(f"DAG {stage}", f"{stack.airflow_url}/dags/{context.loop.name}.{stage}")
    table.add_row("Model server's API", f"{stack.server_url}/docs")
    table.add_row("Lake", context.settings.lake)
    table.add_row("Logs of the processes", str(context.settings.home / "logs"))
    return table
