"""The task of a stage that waits for what others bring: between its looks it is in the triggerer, in no slot.

What is waited for is the stage's (`waiting` in its module), and so is the end of the time. The trigger only
looks: it acts on nothing. Whatever restarts, the next look finds the same tables.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from lakeloop.attempt import Attempt
from lakeloop.errors import TerminalError
from lakeloop.stages.catalogue import stage_named
from lakeloop_airflow.forms import DRY_RUN
from lakeloop_airflow.loops import installation
from lakeloop_airflow.stage_task import StageOperator, open_context, settle

if TYPE_CHECKING:
    from airflow.sdk import Context

MOST_FAILURES = 20
"""Looks in a row that failed, after which the task is woken to fail aloud."""


class LookTrigger(BaseTrigger):
    """Fires as soon as the stage has something to do: requests are enough, time is over, a person acted."""

    def __init__(self, loop: str, stage: str, seconds: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.loop = loop
        self.stage = stage
        self.seconds = seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Where the class is, and what it is made from again: all that a restart needs."""
        name = f"{type(self).__module__}.{type(self).__qualname__}"
        return name, {"loop": self.loop, "stage": self.stage, "seconds": self.seconds}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look again and again, in a thread: reading tables would hold up the other triggers."""
        told, failures = "", 0
        while failures < MOST_FAILURES:
            try:
                waits_for = await asyncio.to_thread(_look, self.loop, self.stage)
                failures = 0
            except TerminalError as error:
                self.log.warning("%s", error)
                break
            except Exception as error:  # noqa: BLE001  (the lake is away, in whatever words)
                failures += 1
                waits_for = f"the look failed, and is repeated: {error}"
            if not waits_for:
                break
            if waits_for != told:
                self.log.info("%s", waits_for)
                told = waits_for
            await asyncio.sleep(self.seconds)
        # The stage meets a failure, too, and its task says what to do.
        yield TriggerEvent({"stage": self.stage})  # type: ignore[no-untyped-call]


def _look(loop: str, stage: str) -> str:
    """What the stage waits for; empty when it has something to do."""
    from lakeloop.stages.frame.session import StageContext

    context = StageContext.open(loop, installation(), Attempt.local(), looking=True)
    return stage_named(stage).waiting(context)


class WaitingOperator(StageOperator):
    """As `StageOperator`, for a stage that waits: deferred until it has something to do, and again after it.

    The task ends with the last record: of a version that is champion by now, or was taken back.
    """

    def execute(self, context: Context) -> None:
        self._proceed(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> None:  # noqa: ARG002
        """Go on where the trigger fired: look again, for the trigger has not acted."""
        self._proceed(context)

    def _proceed(self, context: Context) -> None:
        if not context["params"].get(DRY_RUN):
            self._wait(context)
        record = self.work(context)
        self._wait(context)
        settle(self, record, context)

    def _wait(self, context: Context) -> None:
        """Give the slot back until there is something to do; return where there is, or nothing to come."""
        if waits_for := stage_named(self.stage).waiting(open_context(self.loop, context)):
            self.log.info("waits, in no slot: %s", waits_for)
            seconds = installation().trial_look_seconds
            self.defer(trigger=LookTrigger(self.loop, self.stage, seconds), method_name="execute_complete")
