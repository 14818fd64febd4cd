"""Put a loop to work in an Airflow that runs: its DAGs switched on, days sent through, in that order.

`plan` says what would happen and changes nothing, `carry_out` does what the plan says. The command `start`
and the page in Airflow are two ways to the same two functions; whose rights count is up to the client.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lakeloop.errors import ServiceError
from lakeloop.local.airflow_api import AirflowApi
from lakeloop.sources.days import in_short, without_delivery
from lakeloop.spec.loop import LoopSpec
from lakeloop.stages.catalogue import DAGS


@dataclass(frozen=True)
class StartPlan:
    """What starting a loop will do."""

    loop: str
    paused: tuple[str, ...]
    """DAGs that will be switched on, in this order."""
    running: tuple[str, ...]
    """DAGs that are on."""
    asked: tuple[str, ...]
    """Days that were asked for, oldest first."""
    days: tuple[str, ...]
    """The days of `asked` that Airflow will run: not those that the schedule leaves out or that run now."""
    as_backfill: bool
    """Whether `days` are one backfill, which people see and stop as one. Airflow knows no backfill with
    gaps: where the source has no delivery of most days, each of `days` is a run that was triggered."""
    sentences: Mapping[str, str]
    """What will happen, for people: a word and what it means, in the order of time."""


def plan(api: AirflowApi, loop: LoopSpec, days: Sequence[str]) -> StartPlan:
    """What would happen to `loop` and `days` (each "YYYY-MM-DD", oldest first, gaps or not).

    Raises:
        ServiceError: Airflow does not answer, refuses, or does not have the loop's DAGs.
    """
    found = api.paused_of(loop.name)
    # An event that finds its DAG paused is lost: a DAG is switched on before those whose events it waits for.
    wanted = [f"{loop.name}.{name}" for name in reversed(DAGS)]
    if missing := [dag_id for dag_id in wanted if dag_id not in found]:
        raise ServiceError(
            f"Airflow does not have {len(missing)} of the loop's DAGs",
            where=loop.name,
            expected=", ".join(wanted),
            found=", ".join(found) or "none",
            remedy=f"a new loop is there within a minute; else check its file: lakeloop check {loop.name}",
        )
    paused = tuple(dag_id for dag_id in wanted if found[dag_id])
    running = tuple(dag_id for dag_id in wanted if not found[dag_id])
    scheduled = api.backfill_days(f"{loop.name}.ingest", days[0], days[-1]) if days else []
    runs = tuple(day for day in scheduled if day in set(days))
    sentences = _sentences(loop, paused, running, days, runs)
    return StartPlan(loop.name, paused, running, tuple(days), runs, len(runs) == len(scheduled), sentences)


def carry_out(api: AirflowApi, plan: StartPlan) -> None:
    """Do what `plan` says; doing it again is harmless.

    Raises:
        ServiceError: Airflow does not answer or refuses; what was done until then stays.
    """
    ingest = f"{plan.loop}.ingest"
    for dag_id in plan.paused:
        if dag_id != ingest:
            api.set_paused(dag_id, paused=False)
    if plan.days and plan.as_backfill:
        api.backfill(ingest, plan.days[0], plan.days[-1])
    elif plan.days:
        for day in plan.days:
            api.trigger(ingest, day)
    if ingest in plan.paused:
        api.set_paused(ingest, paused=False)


def _sentences(
    loop: LoopSpec, paused: Sequence[str], running: Sequence[str], asked: Sequence[str], runs: Sequence[str]
) -> dict[str, str]:
    said = {}
    if paused:
        said["switched on"] = ", ".join(paused)
    if running:
        said["on already"] = ", ".join(running)
    if runs:
        days = runs[0] if len(runs) == 1 else f"{runs[0]} to {runs[-1]}"
        said["backfilled"] = f"{days}: {len(runs)} run(s) of {loop.name}.ingest, one by one, oldest first"
    if left := sorted(set(asked) - set(runs)):
        said["left out"] = f"{in_short(left)}: the schedule leaves them out, or they run now"
    if gaps := without_delivery(asked):
        said["not there"] = f"{len(gaps)} day(s) between that the source does not have: {in_short(gaps)}"
    cron, train = loop.schedule, loop.train
    said["from then on"] = (
        f'ingest runs at "{cron.cron}" ({cron.timezone}) for the day before, for the newest such day at once;'
        " transform, train and deploy follow by themselves"
    )
    said["a training"] = (
        f"starts when {train.min_rows} rows are published, and again with each {train.min_new_rows} new ones"
    )
    return said
