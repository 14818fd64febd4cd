"""Which runs of a loop's DAGs are at work or about to begin, and what of the work that is left they do."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from airflow.models import DagModel, DagRun
from airflow.models.asset import AssetPartitionDagRun
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState
from lakeloop_airflow.window import PARAM
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from lakeloop.records import now
from lakeloop.stages.catalogue import DAGS, stage_named
from lakeloop.stages.frame.pending import Pending

log = logging.getLogger(__name__)

_LEAD_ON = ("ingest", "transform", "train")
"""Whatever their day, trainings and releases follow from them; `deploy` may wait for a person for days."""
_PATIENCE = timedelta(minutes=10)
"""For a run that an asset event asked for and that the scheduler has not made: after that it is forgotten."""


@dataclass(frozen=True)
class Run:
    """A run that is queued or runs, of a DAG that is not paused."""

    dag: str
    """Without the loop: `ingest`."""
    partition: str
    """Empty where the run does not say."""

    def will_do(self, step: Pending) -> bool:
        """Whether this run, or those that follow from it by assets, come to this step."""
        stage = stage_named(step.stage)
        same_day = self.partition in ("", step.partition)
        before = DAGS.index(self.dag) <= DAGS.index(stage.dag) if self.dag in DAGS else False
        return before and (same_day or (stage.phase != "data" and self.dag in _LEAD_ON))


def active_runs(loops: Sequence[str]) -> dict[str, tuple[Run, ...]]:
    """Loop -> its active runs, by Airflow's database; empty where that cannot be asked, which is logged."""
    found: dict[str, list[Run]] = defaultdict(list)
    try:
        with create_session(scoped=False) as session:
            for dag_id, partition in dict.fromkeys(_read(session)):
                loop, _, dag = dag_id.rpartition(".")
                if loop in loops:
                    found[loop].append(Run(dag, partition))
    except SQLAlchemyError as error:
        log.warning("the runs of Airflow cannot be read: %s", error)
        return {}
    return {loop: tuple(runs) for loop, runs in found.items()}


def _read(session: Session) -> Iterator[tuple[str, str]]:
    """DAG id and partition of each."""
    unpaused = select(DagModel.dag_id).where(DagModel.is_paused.is_(False))
    runs = select(DagRun.dag_id, DagRun.partition_key, DagRun.conf).where(
        DagRun.state.in_((DagRunState.QUEUED, DagRunState.RUNNING)), DagRun.dag_id.in_(unpaused)
    )
    for dag_id, key, given in session.execute(runs):
        field = given.get(PARAM) if isinstance(given, dict) else None
        yield str(dag_id), str(key or field or "")
    told = select(AssetPartitionDagRun.target_dag_id, AssetPartitionDagRun.partition_key).where(
        AssetPartitionDagRun.created_dag_run_id.is_(None),
        AssetPartitionDagRun.updated_at > now() - _PATIENCE,
        AssetPartitionDagRun.target_dag_id.in_(unpaused),
    )
    for dag_id, key in session.execute(told):
        yield str(dag_id), str(key)
