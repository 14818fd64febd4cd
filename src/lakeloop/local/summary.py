"""The demo's last page: what came out, why, how long it took, where to look. Lays out, decides nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import httpx
from rich.console import Console
from rich.table import Table

from lakeloop.local.drive import STAGES, Outcome, TaskTime
from lakeloop.local.stack import Stack
from lakeloop.stages.session import StageContext
from lakeloop.stages.status import LoopStatus, loop_status

_REQUEST_SECONDS = 30.0


def show_summary(
    console: Console,
    context: StageContext,
    stack: Stack,
    outcome: Outcome,
    steps: Sequence[tuple[str, float]],
) -> None:
    """Print the state of the loop, the outcome of this run and the answers of the model server."""
    status = loop_status(context)
    console.rule(f"[bold]Lakeloop: {status.loop}")
    console.print(_partitions(status))
    _print_model(console, status)
    _print_answers(console, context, stack)
    _print_unchanged(console, outcome)
    console.print(_times(outcome, steps))
    console.print(_places(context, stack, status))
    for failure in outcome.failures:
        console.print(f"[bold red]FAILED[/] {failure}", highlight=False)
    if not outcome.failures:
        console.print("[bold green]Every stage went well.[/]")


def _partitions(status: LoopStatus) -> Table:
    table = Table(title="Days in the lake", title_justify="left")
    table.add_column("day")
    for name in ("read", "accepted", "quarantined", "duplicates", "checks"):
        table.add_column(name, justify="right")
    table.add_column("published")
    for day in status.partitions:
        table.add_row(
            day.partition,
            *map(str, (day.read, day.accepted, day.quarantined, day.duplicates)),
            f"{day.checks_passed} of {day.checks_total}",
            day.in_the_mart,
        )
    totals = status.totals
    table.add_section()
    table.add_row(
        "all",
        *map(str, (totals.read, totals.accepted, totals.quarantined, totals.duplicates)),
        f"{status.checks_passed} of {status.checks_total}",
        "every row accounted for" if all(day.reconciled for day in status.partitions) else "ROWS MISSING",
    )
    return table


def _print_model(console: Console, status: LoopStatus) -> None:
    champion = status.champion
    metric = champion.metric if champion else "score"
    if status.scores:
        scores = ", ".join(f"{name} {score:.4f}" for name, score in status.scores.items())
        console.print(f"Scores     {metric} on the held-out rows: {scores}", highlight=False)
    if status.decision:
        verdict = "accepted" if status.decision.accepted else "refused"
        console.print(f"Gate       {verdict}: {status.decision.reason}", highlight=False)
    if champion:
        console.print(
            f"Champion   {champion.version} ({champion.candidate}, {champion.method}), "
            f"sha256 {champion.digest[:16]}",
            highlight=False,
        )


def _print_answers(console: Console, context: StageContext, stack: Stack) -> None:
    texts = context.loop.deploy.smoke_texts
    if not texts:
        return
    try:
        answer = httpx.post(
            f"{stack.server_url}/v1/predict", json={"texts": list(texts)}, timeout=_REQUEST_SECONDS
        )
    except httpx.HTTPError as error:
        console.print(f"The model server at {stack.server_url} did not answer: {error}", style="red")
        return
    if not answer.is_success:
        console.print(f"The model server answered {answer.status_code}: {answer.text}", style="red")
        return
    body = answer.json()
    console.print(
        f"Asked {stack.server_url}/v1/predict, answered by {body['model_version']}:", highlight=False
    )
    for text, prediction in zip(texts, body["predictions"], strict=True):
        console.print(f"  {prediction['label']:<14} {prediction['score']:.3f}  {text}", highlight=False)


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
    order = {stage: position for position, stage in enumerate(STAGES)}
    started = [task for task in tasks if task.start]
    for task in sorted(started, key=lambda t: (order.get(t.dag_id.rsplit(".", 1)[1], 99), str(t.start))):
        found[task.dag_id, task.task_id].append(task)
    return found


def _places(context: StageContext, stack: Stack, status: LoopStatus) -> Table:
    table = Table(title="Where to look", title_justify="left", show_header=False, box=None)
    table.add_column("what")
    table.add_column("where", overflow="fold")
    table.add_row("Lakeloop page", f"{stack.airflow_url}/plugin/lakeloop")
    for stage in STAGES:
        table.add_row(f"DAG {stage}", f"{stack.airflow_url}/dags/{status.loop}.{stage}")
    table.add_row("Data Docs", status.links.get("data_docs", "none yet"))
    table.add_row("Evaluation report", status.links.get("report", "none yet"))
    table.add_row("Model server's API", f"{stack.server_url}/docs")
    table.add_row("W&B runs", status.links.get("wandb", "none yet"))
    table.add_row("Lake", context.settings.lake)
    table.add_row("Logs of the processes", str(context.settings.home / "logs"))
    return table
