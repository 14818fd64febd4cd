"""The operator that runs one stage function of the library as one Airflow task.

It builds what the function is given and says in Airflow's terms how it ended; the work itself is the
function's, the same that `lakeloop <stage>` runs. The stage is imported when the task runs, not before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from lakeloop.attempt import Attempt
from lakeloop.errors import LakeloopError
from lakeloop.records import StageRecord
from lakeloop.stages.catalogue import stage_named
from lakeloop_airflow.connections import lend_connection
from lakeloop_airflow.forms import DRY_RUN, EXPERIMENT, changed
from lakeloop_airflow.links import WANDB_RUN, failure_links, links_of, page, urls
from lakeloop_airflow.loops import installation
from lakeloop_airflow.window import RECORD_KEY, partition_in

if TYPE_CHECKING:
    from airflow.sdk import Context

    from lakeloop.stages.frame.session import StageContext


_LONGEST_NAME = 256


class StageOperator(BaseOperator):
    """Run `stage` of `loop` for the partition of the run.

    Ends green when the stage is done or refused (a refusal is a result), and skipped, with the reason, when
    there was nothing to do.
    """

    def __init__(self, *, loop: str, stage: str, **options: Any) -> None:
        super().__init__(task_id=stage, **{"pool": stage_named(stage).pool, **options})
        self.loop = loop
        self.stage = stage
        self.operator_extra_links = links_of(stage)
        self.urls: dict[str, str] = {}

    def execute(self, context: Context) -> None:
        settle(self, self.work(context), context)

    def work(self, context: Context) -> StageRecord:
        """Run the stage, and keep what its links lead to."""
        from lakeloop.stages.frame.early import kept_failure

        if context["params"].get(DRY_RUN):
            raise AirflowSkipException(f"dry run: {self.stage} is left out")
        stage_context = open_context(self.loop, context)
        lend_connection(stage_context.loop)
        partition = partition_in(context, stage_named(self.stage).zone(stage_context.loop))
        name = stage_context.record_name(self.stage)
        self.urls[WANDB_RUN] = wandb_page(stage_context, name, partition)
        try:
            with kept_failure(stage_context, name, partition):
                record: StageRecord = stage_named(self.stage).function(stage_context, partition)
        except LakeloopError:
            self.urls |= failure_links(stage_context.settings, self.loop, self.stage, partition)
            raise
        self.urls |= urls(record, stage_context.settings)
        return record


def open_context(loop: str, context: Context) -> StageContext:
    """What a stage is given: the loop file with the form's overrides, the lake, and this attempt."""
    from lakeloop.spec.reading.load import load_named
    from lakeloop.stages.frame.session import StageContext

    settings = installation()
    changes = changed(load_named(loop, settings), context["params"])
    attempt = Attempt(_run_of(context), context["ti"].try_number)
    experiment = context["params"].get(EXPERIMENT) or ""
    return StageContext.open(loop, settings, attempt, changes, experiment=experiment)


def wandb_page(context: StageContext, stage: str, partition: str) -> str:
    """The page of this attempt's W&B run, which is complete as soon as the journal is mirrored."""
    from lakeloop.tracking.journal import JournalIdentity

    identity = JournalIdentity(context.loop.name, stage, partition, context.attempt.token)
    journal = identity.path(context.settings.journals)
    return page("wandb", context.loop.name, stage, partition, journal.stem)


def settle(task: BaseOperator, record: StageRecord, context: Context) -> None:
    """End the task as `record` says: leave the record as an XCom, name the partition to the outlets.

    A refusal and an experiment are no news for other DAGs: their outlets are withheld.

    Raises:
        AirflowSkipException: nothing was done; the reason is the record's.
    """
    context["ti"].xcom_push(RECORD_KEY, describe(record))
    # An earlier try of this very run did the work and died before Airflow knew: its outlets were not told.
    own = record.provenance.run_id == _run_of(context)
    if record.status == "skipped" or (record.status == "unchanged" and not own):
        raise AirflowSkipException(f"{record.status}: {record.reason}")
    from lakeloop.stages.frame.labelled import days_told

    if record.status == "refused" or record.experiment or not days_told(record):
        task.outlets = []
    announce(task.outlets, record, context)


def announce(outlets: Sequence[Any], record: StageRecord, context: Context) -> None:
    """Give the asset events of this task their partitions, whatever kind of run it is, and a small extra."""
    from lakeloop.stages.frame.labelled import days_told

    for outlet in outlets:
        event = context["outlet_events"][outlet]
        event.add_partitions(days_told(record))
        event.extra = {"stage": record.stage, "fingerprint": record.fingerprint, **_names(record.outputs)}


def _run_of(context: Context) -> str:
    """The run's name in records and claims: run ids are unique within a DAG only."""
    return f"{context['dag_run'].dag_id}:{context['dag_run'].run_id}"


def describe(record: StageRecord) -> dict[str, Any]:
    """The part of a record that travels through Airflow: names, versions, digests and counts, no data.

    Of a stage that ran dbt also what became of each model.
    """
    fields = {"stage", "partition", "status", "reason", "fingerprint", "counts", "links"}
    fields |= {"models"} if record.models else set()
    return {**record.model_dump(mode="json", include=fields), "outputs": _names(record.outputs)}


def _names(outputs: Mapping[str, str]) -> dict[str, str]:
    """Without what is too long to be a name, a version or a digest: it is data, and stays in the lake."""
    return {name: value for name, value in outputs.items() if len(value) <= _LONGEST_NAME}
