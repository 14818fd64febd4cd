"""The operators of the train DAG: whether to train at all, and a training that survives its task.

A training is a detached process (`lakeloop.jobs`); its task only watches. The task may be killed, retried or
started twice: the next try finds the process, or its result, by the id in the task state store, and by the
job's own folder when Airflow lost the id.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, ResumableJobMixin, SkipMixin

from lakeloop import jobs
from lakeloop.faults import reach
from lakeloop.jobs.log_lines import teller
from lakeloop_airflow.arrivals import DAGS, DaysTrigger, days_coming, described
from lakeloop_airflow.forms import FORCE
from lakeloop_airflow.links import CURVES, REPORT, WANDB_RUN, curves_page, links_of, page, report_of
from lakeloop_airflow.stage_task import open_context, settle, wandb_page
from lakeloop_airflow.window import PARAM, PLAN, RECORD_KEY, partition_in, partition_of

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.types import RuntimeTaskInstanceProtocol
    from pydantic import JsonValue

    from lakeloop.records import StageRecord
    from lakeloop.spec.train import Candidate, Train

_ENDED_BY_A_PERSON = frozenset({"failed", "success", "skipped", "removed"})
"""States that a running task is never given by Airflow itself."""
_LOOKS, _A_MOMENT = 4, 1.5
"""Looks for a run that is ending, and seconds between them."""


class PlanOperator(BaseOperator, SkipMixin):
    """Decide whether a training is due; when it is not, end green with the reason and skip the rest.

    The decision is about everything that is published, whichever day started the run: the tasks after this
    one work on the newest published day, which the record of this task names. With the form's field `force`
    they train all the same, and then on the days up to the run's own. Where no training is due and a
    candidate that was trained by hand waits for its evaluation, that alone is done. An experiment is always
    trained: on the day that the form names, else on the newest published one.

    A training that is due waits for days that are on their way, in the triggerer and in no slot: a backfill
    ends in one training of all its days.
    """

    inherits_from_skipmixin = True

    def __init__(self, *, loop: str, **options: Any) -> None:
        super().__init__(task_id=PLAN, **options)
        self.loop = loop

    def execute(self, context: Context) -> None:
        self._plan(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> None:  # noqa: ARG002  (Airflow's)
        """Go on where no day is on its way any more."""
        self._plan(context, waited=True)

    def _wait_for_days(self, context: Context) -> None:
        """Return when no day is on its way into the mart; else give the slot back until then.

        Of a DAG that is paused nothing comes.
        """
        task = context["ti"]
        dags = [name for name in DAGS if not task.get_dag(f"{self.loop}.{name}").is_paused]
        for _ in range(_LOOKS):
            coming = days_coming(self.loop, task.get_dr_count, dags)
            if sum(coming) != 1:
                break
            # Most often the run whose event started this one, which has only to be marked as ended.
            time.sleep(_A_MOMENT)
        if any(coming):
            self.log.info("a training is due, and waits, in no slot, for %s", described(coming, dags))
            self.defer(trigger=DaysTrigger(self.loop, dags), method_name="execute_complete")

    def _plan(self, context: Context, *, waited: bool = False) -> None:
        from lakeloop.stages.training.evaluation_order import STAGE
        from lakeloop.stages.training.plan import decide_training
        from lakeloop.stages.training.waiting import waiting

        opened = open_context(self.loop, context)
        asked = partition_of(context["dag_run"], context["params"], opened.loop.schedule.timezone)
        decision = decide_training(opened)
        forced = bool(context["params"].get(FORCE) or opened.experiment)
        if decision.train and not forced and not waited:
            self._wait_for_days(context)
        partition = asked if forced or not decision.train else decision.partition
        reason = decision.reason
        if opened.experiment:
            named = context["dag_run"].partition_key or context["params"].get(PARAM)
            partition = asked if named else decision.partition or asked
            reason = f"experiment {opened.experiment}; of production: {reason}"
        elif forced:
            reason = f"asked for by hand, {'and' if decision.train else 'although'}: {reason}"
        elif partition != asked:
            reason = f"{asked} is published; the newest day is {partition}: {reason}"
        train = decision.train or forced
        left = None if train else waiting(opened, STAGE)
        if left:
            partition, reason = left.partition, f"{left.reason}; no training is due: {decision.reason}"
        self.log.info("%s: %s", "train" if train else "evaluate" if left else "do not train", reason)
        context["ti"].xcom_push(
            RECORD_KEY,
            {
                "stage": "plan",
                "partition": partition,
                "status": "done" if train or left else "skipped",
                "reason": reason,
            },
        )
        if not train:
            # All tasks, whatever their trigger rules: the rules are about stages that have nothing to do.
            behind = context["task"].get_flat_relatives(upstream=False)
            self.skip(context["ti"], [task for task in behind if not left or task.task_id != STAGE])


class TrainOperator(ResumableJobMixin, BaseOperator):
    """Train one candidate of `loop` for the partition of the run: submit the job, watch it, store the model.

    The log of the process is the log of the task, from its first line also after a retry.
    """

    external_id_key = "lakeloop_job"

    def __init__(self, *, loop: str, candidate: str, **options: Any) -> None:
        super().__init__(task_id=candidate, **options)
        self.loop = loop
        self.candidate = candidate
        self.operator_extra_links = links_of(f"train-{candidate}")
        self.urls: dict[str, str] = {}
        self.job: jobs.JobSpec | None = None
        self.job_id = ""
        self.task_instance: RuntimeTaskInstanceProtocol | None = None

    def execute(self, context: Context) -> None:
        self.task_instance = context["ti"]
        settle(self, self._train(context), context)

    def _train(self, context: Context) -> StageRecord:
        from lakeloop.stages.frame.early import kept_failure
        from lakeloop.stages.training.train import finish, prepare, stored

        opened = open_context(self.loop, context)
        partition = partition_in(context, opened.loop.schedule.timezone)
        name = opened.record_name("train", self.candidate)
        self.urls[WANDB_RUN] = wandb_page(opened, name, partition)
        with kept_failure(opened, name, partition):
            if not stored(opened, partition, self.candidate):
                self.job = prepare(opened, partition, self.candidate)
                self.execute_resumable(context)
            record = finish(opened, partition, self.candidate, self.job_id)
        if journal := training_journal(record):
            self.urls[WANDB_RUN] = page("wandb", self.loop, *journal.parts[-3:-1], journal.stem)
            self.urls[CURVES] = curves_page(self.loop, journal)
        self.urls[REPORT] = report_of(self.loop, record.partition, opened.experiment)
        return record

    def submit_job(self, context: Context) -> JsonValue:  # noqa: ARG002  (Airflow's)
        assert self.job is not None
        self.job_id = jobs.submit(self.job)
        reach("train.after-submit")
        return self.job_id

    def get_job_status(self, external_id: JsonValue, context: Context) -> str:  # noqa: ARG002  (Airflow's)
        assert self.job is not None
        self.job_id = str(external_id)
        if self.job_id != str(self.job.workdir.resolve()):
            # A cleared task remembers the job of its earlier run; another data set or form is another job.
            return "another"
        return jobs.status(self.job_id).state

    def is_job_active(self, status: str) -> bool:
        return status in jobs.AT_WORK

    def is_job_succeeded(self, status: str) -> bool:
        return status == "succeeded"

    def poll_until_complete(self, external_id: JsonValue, context: Context) -> None:  # noqa: ARG002  (Airflow's)
        jobs.wait(str(external_id), on_line=teller(self.log))

    def get_job_result(self, external_id: JsonValue, context: Context) -> str:  # noqa: ARG002  (Airflow's)
        return str(external_id)

    def on_kill(self) -> None:
        """End the training when a person ended the task; in all other cases a later try comes back for it.

        A task is also killed when a newer try of it was started (by a scheduler that came back and took the
        task for dead), and when its API server did not answer for a while.
        """
        if self.job_id and ended_by_a_person(self.task_instance, self.log):
            jobs.cancel(self.job_id)


def ended_by_a_person(task: RuntimeTaskInstanceProtocol | None, log: Any) -> bool:
    """Whether a person has ended `task`, and so the training that it watches; false when nobody can say."""
    if task is None:
        return False
    mapped = isinstance(task.map_index, int) and task.map_index >= 0
    which: dict[str, Any] = {"map_index": task.map_index} if mapped else {}
    try:
        states = task.get_task_states(
            dag_id=task.dag_id, task_ids=[task.task_id], run_ids=[task.run_id], **which
        )
    except Exception as error:  # noqa: BLE001  (whatever is wrong with Airflow, the training goes on)
        log.warning("the training goes on: Airflow did not say what became of the task: %s", error)
        return False
    # Of a mapped task the number of its place stands behind its name.
    found = states.get(task.run_id, {})
    name = f"{task.task_id}_{task.map_index}" if mapped else task.task_id
    if str(found.get(name)) not in _ENDED_BY_A_PERSON:
        return False
    log.info("ending the training: the task was ended")
    return True


def slots_of(train: Train, candidate: Candidate, slots: int) -> int:
    """Of the pool's `slots`, how many the training of `candidate` takes: one for each device that it has.

    At most all of them: a task that wants more slots than its pool has is never run. All, too, where it has
    all devices of its worker, whose number the loop file does not say.
    """
    if train.devices is not None:
        return max(1, min(train.devices, slots))
    if train.launcher_of(candidate) != "torchrun":
        return 1
    return min(train.processes or slots, slots)


def training_journal(record: StageRecord) -> Path | None:
    """The journal of the training's own process, with steps and epochs; that of the task has the end alone.

    None for a record of an earlier version, which does not name it.
    """
    journal = Path(record.links.get("training_run", ""))
    return journal if journal.name else None
