"""The operator that asks the lake what is left to do, and words it for the operator that triggers DAGs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from lakeloop.stages.catalogue import stage_named
from lakeloop_airflow.connections import lend_connection
from lakeloop_airflow.forms import DRY_RUN
from lakeloop_airflow.stage_task import open_context
from lakeloop_airflow.window import PARAM

if TYPE_CHECKING:
    from airflow.sdk import Context


MOST_RUNS = 1000
"""Airflow refuses to map a task over more than `core.max_map_length` values, 1024 by default."""


class PendingOperator(BaseOperator):
    """Return, for each DAG and partition with work that is due, the arguments of a TriggerDagRunOperator.

    Asset events are hints: they get lost, come twice, and find their DAG paused. The lake knows what was
    published and not yet used, the source which deliveries were not ingested. Runs of a paused DAG are left
    out: they would pile up behind the pause.
    """

    def __init__(self, *, loop: str, **options: Any) -> None:
        super().__init__(task_id="pending", **options)
        self.loop = loop

    def execute(self, context: Context) -> list[dict[str, Any]]:
        from lakeloop.stages.frame.pending import work_left

        task, run = context["ti"], context["dag_run"]
        found: dict[tuple[str, str], str] = {}
        opened = open_context(self.loop, context)
        lend_connection(opened.loop)
        for step in work_left(opened):
            self.log.info("%s of %s: %s", step.stage, step.partition, step.reason)
            found.setdefault((f"{self.loop}.{stage_named(step.stage).dag}", step.partition), step.reason)
        paused = {dag_id for dag_id in {dag_id for dag_id, _ in found} if task.get_dag(dag_id).is_paused}
        for dag_id in sorted(paused):
            self.log.warning("%s is paused: what it should do waits", dag_id)
        triggers = [
            # 3.3 gives operator-triggered runs no partition key; the form's field says the same.
            {
                "trigger_dag_id": dag_id,
                "trigger_run_id": f"maintenance__{partition}__{run.run_id}",
                "conf": {PARAM: partition},
                "note": reason,
            }
            for (dag_id, partition), reason in found.items()
            if dag_id not in paused
        ]
        if len(triggers) > MOST_RUNS:
            self.log.warning(
                "%d runs are due: the first %d now, the rest next time", len(triggers), MOST_RUNS
            )
            del triggers[MOST_RUNS:]
        if context["params"].get(DRY_RUN):
            raise AirflowSkipException(f"dry run: {len(triggers)} run(s) are left out, see the log")
        if not triggers:
            raise AirflowSkipException("what is left is paused" if found else "nothing is left to do")
        return triggers
