"""The task that asks a person, in Airflow's page of required actions, before a candidate becomes champion."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param
from airflow.sdk.exceptions import AirflowSkipException
from airflow.sdk.execution_time.hitl import HITLUser

from lakeloop_airflow.forms import DRY_RUN
from lakeloop_airflow.links import urls
from lakeloop_airflow.stage_task import open_context
from lakeloop_airflow.window import partition_in

if TYPE_CHECKING:
    from airflow.sdk import Context

    from lakeloop.spec.loop import LoopSpec
    from lakeloop.stages.frame.session import StageContext
    from lakeloop.stages.release.approval import Question

APPROVE, REJECT = "Approve", "Reject"
ASK = "approve"
"""The id of the task."""


class AskOperator(HITLOperator):
    """Ask whether the candidate that the gate lets in may become champion; the next task acts on the answer.

    The task waits in state `awaiting_input`, in no slot. Skipped, with the reason, where nobody is to be
    asked, or somebody has answered on the command line. The answer is in the registry before this task ends:
    clearing the task removes Airflow's copy.
    """

    def __init__(self, *, loop: LoopSpec, **options: Any) -> None:
        asked = loop.approval
        # Airflow adds the DAG's own to the arguments: they are no part of the form that is answered.
        options.pop("params", None)
        super().__init__(
            task_id=ASK,
            subject=f"{loop.name}: a new champion?",
            options=[APPROVE, REJECT],
            defaults=APPROVE if asked.otherwise == "approve" else REJECT,
            params={"reason": Param("", type=["null", "string"], description="Why; kept in the registry.")},
            assigned_users=[HITLUser(id=name, name=name) for name in asked.users] or None,
            response_timeout=timedelta(hours=asked.hours),
            **options,
        )
        self.loop = loop.name

    def execute(self, context: Context) -> None:
        from lakeloop.stages.release.dossier import dossier, subject_of

        if context["params"].get(DRY_RUN):
            raise AirflowSkipException("dry run: nobody is asked")
        opened, question = self._question(context)
        if question is None:
            raise AirflowSkipException("nobody is asked: the gate decides by itself, and `release` says why")
        if question.answer:
            raise AirflowSkipException(question.answer.title)
        pages = urls(question.evaluation, opened.settings)
        links = {title: f"[{title.lower()}]({url})" for title, url in pages.items()}
        self.subject, self.body = subject_of(question), dossier(opened, question, links)
        super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Keep the answer; an answer to what is no question any more is told, and does nothing."""
        from lakeloop.stages.release.approval import answer

        said = super().execute_complete(context, event)
        user = said["responded_by_user"]
        opened, question = self._question(context)
        if question is None:
            raise AirflowSkipException("the champion changed meanwhile, so the answer is to nothing any more")
        kept = answer(
            opened,
            question,
            approved=said["chosen_options"] == [APPROVE],
            by=user["name"] if user else "",
            reason=(said["params_input"] or {}).get("reason") or _UNSAID[user is None],
        )
        self.log.info("%s", kept.title)
        return said

    def _question(self, context: Context) -> tuple[StageContext, Question | None]:
        from lakeloop.stages.release.approval import newest_question

        opened = open_context(self.loop, context)
        return opened, newest_question(opened, partition_in(context, opened.loop.schedule.timezone))


_UNSAID = ("no reason given", "approval.otherwise of the loop file")
"""The reason of an answer that has none: of a person, of the end of the time."""
