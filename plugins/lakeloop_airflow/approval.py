"""The task that asks a person, in Airflow's page of required actions, before a candidate becomes champion."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.providers.standard.triggers.hitl import HITLTrigger
from airflow.sdk import Param
from airflow.sdk.exceptions import AirflowSkipException, TaskAwaitingInput
from airflow.sdk.execution_time.hitl import HITLUser, update_hitl_detail_response
from airflow.sdk.timezone import utcnow
from airflow.triggers.base import TriggerEvent

from lakeloop.attempt import Attempt
from lakeloop_airflow.forms import DRY_RUN
from lakeloop_airflow.links import ASK, urls
from lakeloop_airflow.loops import installation
from lakeloop_airflow.stage_task import open_context
from lakeloop_airflow.window import partition_in

if TYPE_CHECKING:
    from airflow.sdk import Context

    from lakeloop.spec.loop import LoopSpec
    from lakeloop.stages.frame.session import StageContext
    from lakeloop.stages.release.approval import Question

APPROVE, REJECT = "Approve", "Reject"

WITHDRAWN = "Withdrawn"
"""Stands in Airflow where a person's choice would, of a question that nobody needs to answer any more."""


class AskTrigger(HITLTrigger):
    """Waits until a person answers, the time is over, or the question is: a newer candidate is asked about.

    A question that is over is taken from the required actions, unless a person was first; what follows from
    that is the task's. A triggerer that restarts finds in Airflow's database what was said, or withdrawn.
    """

    def __init__(self, *, loop: str, evaluation: str, candidate: str, **options: Any) -> None:
        super().__init__(**options)
        self.loop = loop
        self.evaluation = evaluation
        self.candidate = candidate

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Where the class is, and what it is made from again: all that a restart needs."""
        _, options = super().serialize()
        name = f"{type(self).__module__}.{type(self).__qualname__}"
        own = {"loop": self.loop, "evaluation": self.evaluation, "candidate": self.candidate}
        return name, {**options, **own}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look again and again: at Airflow's database, and in a thread at the lake."""
        while True:
            if self.timeout_datetime and self.timeout_datetime < utcnow():
                yield await self._handle_timeout()
                return
            if said := await self._handle_response():  # type: ignore[no-untyped-call]
                yield said
                return
            if not await asyncio.to_thread(self._withdraw):
                await asyncio.sleep(self.poke_interval)

    def _withdraw(self) -> bool:
        """Take the question back where it is over; true when that was done."""
        try:
            why = _over(self.loop, self.evaluation, self.candidate)
            if why:
                self.log.info("the question is taken back: %s", why)
                update_hitl_detail_response(ti_id=self.ti_id, chosen_options=[WITHDRAWN], params_input={})
        except Exception as error:  # noqa: BLE001  (the lake is away, or a person answered at this moment)
            self.log.warning("the look failed, and is repeated: %s", error)
            return False
        return bool(why)


def _over(loop: str, evaluation: str, candidate: str) -> str:
    """Why nobody needs to answer any more; empty while somebody does."""
    from lakeloop.stages.frame.session import StageContext
    from lakeloop.stages.release.approval import over

    context = StageContext.open(loop, installation(), Attempt.local(), looking=True)
    return over(context, evaluation, candidate)


class AskOperator(HITLOperator):
    """Ask whether the candidate that the gate lets in may become champion; the next task acts on the answer.

    The task waits deferred, in no slot: that a newer candidate is to be asked about a trigger notices.
    Skipped, with the reason, where nobody is to be asked, somebody has answered on the command line, or a
    newer candidate is asked about. The answer is in the registry before this task ends: clearing the task
    removes Airflow's copy.
    """

    def __init__(self, *, loop: LoopSpec, **options: Any) -> None:
        asked = loop.approval
        # Airflow adds the DAG's own to the arguments: they are no part of the form that is answered.
        options.pop("params", None)
        super().__init__(
            task_id=ASK,
            subject=f"{loop.name}: a new champion?",
            options=[APPROVE, REJECT],
            params={"reason": Param("", type=["null", "string"], description="Why; kept in the registry.")},
            assigned_users=[HITLUser(id=name, name=name) for name in asked.users] or None,
            response_timeout=timedelta(hours=asked.hours),
            **options,
        )
        self.loop = loop.name
        # Not among Airflow's `defaults`: its page makes those the main button, and nobody is to be led.
        self.otherwise = [APPROVE if asked.otherwise == "approve" else REJECT]

    def execute(self, context: Context) -> None:
        if context["params"].get(DRY_RUN):
            raise AirflowSkipException("dry run: nobody is asked")
        self._ask(context, *self._question(context))

    def execute_complete(self, context: Context, event: dict[str, Any], evaluation: str = "") -> Any:
        """Keep the answer, unless there is one, or the question is over: that is told.

        `evaluation` is the fingerprint of what was asked about; empty where an earlier version asked.
        """
        from lakeloop.stages.release.approval import answer, question_about

        if not evaluation:
            opened, question = self._question(context)
        else:
            opened = open_context(self.loop, context)
            question = question_about(opened, evaluation)
        if question is None:
            raise AirflowSkipException("the champion changed meanwhile, so the answer is to nothing any more")
        if event.get("chosen_options") == [WITHDRAWN]:
            self._ask(context, opened, question)
        said = super().execute_complete(context, event)
        user = said["responded_by_user"]
        kept = answer(
            opened,
            question,
            approved=said["chosen_options"] == [APPROVE],
            by=user["name"] if user else "",
            reason=(said["params_input"] or {}).get("reason") or _UNSAID[user is None],
        )
        self.log.info("%s", kept.title)
        if kept.superseded_by:
            raise AirflowSkipException(f"{kept.title}, before the answer")
        return said

    def _ask(self, context: Context, opened: StageContext, question: Question | None) -> NoReturn:
        """Wait for an answer to `question`, or end skipped where nobody is to answer it."""
        from lakeloop.stages.release.approval import take_turn
        from lakeloop.stages.release.dossier import dossier, subject_of

        if question is None:
            raise AirflowSkipException("nobody is asked: the gate decides by itself, and `release` says why")
        if question.answer:
            raise AirflowSkipException(question.answer.title)
        if ended := take_turn(opened, question):
            raise AirflowSkipException(ended.title)
        pages = urls(question.evaluation, opened.settings)
        links = {title: f"[{title}]({url})" for title, url in pages.items()}
        self.subject, self.body = subject_of(question), dossier(opened, question, links)
        asked = question.evaluation.fingerprint
        try:
            super().execute(context)
        except TaskAwaitingInput as parked:
            trigger = AskTrigger(
                loop=self.loop,
                evaluation=asked,
                candidate=question.candidate.digest,
                ti_id=context["ti"].id,
                options=self.options,
                params=self.serialized_params,
                defaults=self.otherwise,
                timeout_datetime=utcnow() + parked.timeout,
                poke_interval=installation().trial_look_seconds,
            )
        self.defer(trigger=trigger, method_name="execute_complete", kwargs={"evaluation": asked})

    def _question(self, context: Context) -> tuple[StageContext, Question | None]:
        from lakeloop.stages.release.approval import newest_question

        opened = open_context(self.loop, context)
        return opened, newest_question(opened, partition_in(context, opened.loop.schedule.timezone))


_UNSAID = ("no reason given", "approval.otherwise of the loop file")
"""The reason of an answer that has none: of a person, of the end of the time."""
