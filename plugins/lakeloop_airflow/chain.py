"""The tasks of a DAG, as the catalogue of stages lists them: a new stage is a row there, and no DAG file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import Asset, BaseOperator, TriggerRule, chain

from lakeloop.spec.loop import LoopSpec
from lakeloop.stages.catalogue import Stage, stages_of
from lakeloop_airflow.assets import loop_assets
from lakeloop_airflow.defaults import GPU_QUEUE
from lakeloop_airflow.loops import installation
from lakeloop_airflow.stage_task import StageOperator
from lakeloop_airflow.training import TrainOperator, slots_of


def stage_tasks(loop: LoopSpec, dag: str, *, inlets: Sequence[Asset] = ()) -> BaseOperator:
    """Build the tasks of the stages of `dag`, each after the one before; the first task.

    A stage that has nothing to do holds up none after it. `inlets` are what the first task reads.
    """
    steps: list[BaseOperator | list[BaseOperator]] = []
    for stage in stages_of(dag):
        options: dict[str, Any] = {"trigger_rule": TriggerRule.NONE_FAILED} if steps else {}
        if inlets and not steps:
            options["inlets"] = list(inlets)
        if stage.announces:
            options["outlets"] = [getattr(loop_assets(loop.name), stage.announces)]
        steps.append(_tasks_of(loop, stage, options))
    chain(*steps)
    first = steps[0]
    assert isinstance(first, BaseOperator), "a DAG begins with a stage that runs once"
    return first


def _tasks_of(loop: LoopSpec, stage: Stage, options: dict[str, Any]) -> BaseOperator | list[BaseOperator]:
    if stage.per != "candidate":
        return StageOperator(loop=loop.name, stage=stage.name, **options)
    candidates = loop.train.all_candidates
    return [
        TrainOperator(
            loop=loop.name,
            candidate=candidate.name,
            pool=stage.pool,
            pool_slots=slots_of(loop.train, candidate, installation().gpu_slots),
            queue=GPU_QUEUE,
            priority_weight=len(candidates) - number,  # the cheapest first
            **options,
        )
        for number, candidate in enumerate(candidates)
    ]
