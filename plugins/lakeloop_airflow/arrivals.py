"""Days on their way into the mart: a training that is due waits for them, and takes them all.

Without that a backfill of thirty days starts a training with each few of them, and all but the last are of
no use. Runs of Airflow say what is queued, the ledger what lies between two DAGs, of which no run is yet.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from lakeloop.attempt import Attempt
from lakeloop.records import now
from lakeloop_airflow.loops import installation

CountRuns = Callable[..., int]
"""Airflow's `get_dr_count`: runs of `dag_id` in one of `states`."""

DAGS = ("ingest", "transform")
"""That a day goes through."""
ACTIVE = ["queued", "running"]
LOOK_SECONDS = 5.0
STANDSTILL_SECONDS = 3600.0
"""Without a day that came through; then nobody waits any longer: a run that hangs, a DAG that is paused."""
_JUST_NOW = timedelta(minutes=2)
_QUIET_LOOKS = 2
"""One after the other, before it is believed that no day is on its way."""


def days_coming(loop: str, count: CountRuns, dags: Sequence[str] = DAGS) -> tuple[int, ...]:
    """How many runs of each of `dags` are queued or at work, then how many days are between two of them."""
    runs = [count(dag_id=f"{loop}.{dag}", states=ACTIVE) for dag in dags]
    return (*runs, _between(loop))


def described(coming: Sequence[int], dags: Sequence[str] = DAGS) -> str:
    """`days_coming` for people; empty when none is on its way."""
    from lakeloop.plural import counted

    *runs, between = coming
    named = [counted(number, "run") + f" of {dag}" for number, dag in zip(runs, dags, strict=True) if number]
    if between:
        named.append(f"{counted(between, 'day')} between them")
    return ", ".join(named)


def _between(loop: str) -> int:
    """Days that went through a stage a moment ago, and not through the next: their run is not there yet."""
    from lakeloop.stages.frame.progress import days_of
    from lakeloop.stages.frame.session import StageContext

    context = StageContext.open(loop, installation(), Attempt.local(), looking=True)
    since = now() - _JUST_NOW
    left = [
        day.records[-1] for day in days_of(context.lake.ledger.entries()) if day.ingest and not day.validate
    ]
    return len([record for record in left if record.provenance.finished_at > since])


class DaysTrigger(BaseTrigger):
    """Fires when no day of `loop` is on its way through `dags` any more, or when none moved for an hour."""

    def __init__(self, loop: str, dags: Sequence[str], seconds: float = LOOK_SECONDS) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.loop = loop
        self.dags = list(dags)
        self.seconds = seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Where the class is, and what it is made from again: all that a restart needs."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            "loop": self.loop,
            "dags": self.dags,
            "seconds": self.seconds,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look again and again, in a thread: asking Airflow and the lake would hold up the other triggers."""
        before: tuple[int, ...] | None = None
        moved, quiet = time.monotonic(), 0
        while quiet < _QUIET_LOOKS and time.monotonic() - moved < STANDSTILL_SECONDS:
            if before is not None:
                await asyncio.sleep(self.seconds)
            try:
                coming = await asyncio.to_thread(days_coming, self.loop, _count_runs, self.dags)
            except Exception as error:  # noqa: BLE001  (Airflow or the lake is away, in whatever words)
                self.log.warning("the look failed, and is repeated: %s", error)
                before = before or ()
                continue
            quiet = 0 if any(coming) else quiet + 1
            if coming != before:
                self.log.info("on their way: %s", described(coming, self.dags) or "none")
                before, moved = coming, time.monotonic()
        yield TriggerEvent({"loop": self.loop})  # type: ignore[no-untyped-call]


def _count_runs(**wanted: Any) -> int:
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    return RuntimeTaskInstance.get_dr_count(**wanted)
