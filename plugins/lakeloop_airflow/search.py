"""The tasks of a search: which slots there are, a trial in each, and what comes of all of them.

A slot is a mapped task, with a slot of the pool `gpu`. Its trial is remembered by the study, and the trial's
job outlives the task: whatever is killed, the next try of the task goes on with both. What cannot be gone
on with is given up by the last task, which runs also when tasks of trials have failed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, TriggerRule, chain
from airflow.sdk.exceptions import AirflowSkipException

from lakeloop import jobs
from lakeloop.jobs.log_lines import teller
from lakeloop.spec.loop import LoopSpec
from lakeloop.spec.search import SLOTS, TRIAL, Search
from lakeloop.stages.catalogue import Stage
from lakeloop_airflow.defaults import GPU_QUEUE
from lakeloop_airflow.links import REPORT, WANDB_RUN, links_of, report_of
from lakeloop_airflow.stage_task import open_context, settle, wandb_page
from lakeloop_airflow.training import ended_by_a_person
from lakeloop_airflow.window import RECORD_KEY, partition_in

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.types import RuntimeTaskInstanceProtocol

    from lakeloop.stages.frame.session import StageContext


class SlotsOperator(BaseOperator):
    """The slots of the search that are still to be worked on, by task; none when it was done before."""

    def __init__(self, *, loop: str, candidate: str, **options: Any) -> None:
        super().__init__(task_id=f"{candidate}{SLOTS}", **options)
        self.loop = loop
        self.candidate = candidate

    def execute(self, context: Context) -> list[list[int]]:
        from lakeloop.stages.training.search import slots_left

        opened, partition = _opened(self.loop, context)
        left = slots_left(opened, partition, self.candidate)
        self.log.info("%d trial(s) to be done", sum(map(len, left)))
        return left


class TrialOperator(BaseOperator):
    """Bring slots of the search to their end; skipped when the search ended before they were needed."""

    def __init__(self, *, loop: str, candidate: str, slots: list[int], **options: Any) -> None:
        super().__init__(**options)
        self.loop = loop
        self.candidate = candidate
        self.slots = slots
        self.job_id = ""
        self.task_instance: RuntimeTaskInstanceProtocol | None = None

    def execute(self, context: Context) -> None:
        from lakeloop.stages.training.trials import Searching, carry_out

        self.task_instance = context["ti"]
        opened, partition = _opened(self.loop, context)
        searching = Searching.of(opened, partition, self.candidate)
        trials = carry_out(searching, self.slots, teller(self.log), self._watch)
        told = "; ".join(trial.sentence for trial in trials)
        sentence = told or searching.study().over() or "no trial was begun"
        record = {
            "stage": opened.record_name("train", self.candidate),
            "partition": partition,
            "status": "done" if trials else "skipped",
            "reason": sentence,
        }
        context["ti"].xcom_push(RECORD_KEY, record)
        if not trials:
            raise AirflowSkipException(sentence)
        self.log.info(sentence)

    def _watch(self, job_id: str) -> None:
        self.job_id = job_id

    def on_kill(self) -> None:
        """End the trial's job when a person ended the task; else the next try comes back for it."""
        if self.job_id and ended_by_a_person(self.task_instance, self.log):
            jobs.cancel(self.job_id)


class SearchOperator(BaseOperator):
    """Store the best models of a search whose trials are over, and record all of them as one training."""

    def __init__(self, *, loop: str, candidate: str, **options: Any) -> None:
        super().__init__(task_id=candidate, **options)
        self.loop = loop
        self.candidate = candidate
        self.operator_extra_links = links_of(f"train-{candidate}")
        self.urls: dict[str, str] = {}

    def execute(self, context: Context) -> None:
        from lakeloop.stages.training.search import finish_search

        opened, partition = _opened(self.loop, context)
        self.urls[WANDB_RUN] = wandb_page(opened, opened.record_name("train", self.candidate), partition)
        record = finish_search(opened, partition, self.candidate)
        self.urls[REPORT] = report_of(self.loop, partition, opened.experiment)
        settle(self, record, context)


def _opened(loop: str, context: Context) -> tuple[StageContext, str]:
    opened = open_context(loop, context)
    return opened, partition_in(context, opened.loop.schedule.timezone)


def search_tasks(
    loop: LoopSpec, search: Search, stage: Stage, options: dict[str, Any]
) -> tuple[BaseOperator, BaseOperator]:
    """Build the tasks of a search; the first and the last of them."""
    name = search.candidate
    own: dict[str, Any] = {"loop": loop.name, "candidate": name}
    slots = SlotsOperator(**own, **options)
    trials = TrialOperator.partial(
        task_id=f"{name}{TRIAL}",
        **own,
        pool=stage.pool,
        queue=GPU_QUEUE,
        max_active_tis_per_dagrun=search.parallel,
    ).expand(slots=slots.output)
    last = SearchOperator(
        **own,
        pool=stage.pool,
        queue=GPU_QUEUE,
        # Also when trials have failed, and when there was none to do; not when there is no data set.
        trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS,
    )
    chain(slots, trials, last)
    chain(slots, last)
    return slots, last
