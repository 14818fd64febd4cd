"""The tasks of a DAG, as the catalogue of stages lists them: a new stage is a row there, and no DAG file."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from airflow.sdk import Asset, BaseOperator, TriggerRule, chain

from lakeloop.spec.loop import LoopSpec
from lakeloop.stages.catalogue import Stage, stages_of
from lakeloop_airflow.approval import AskOperator
from lakeloop_airflow.assets import loop_assets
from lakeloop_airflow.defaults import GPU_QUEUE
from lakeloop_airflow.loops import installation
from lakeloop_airflow.search import search_tasks
from lakeloop_airflow.stage_task import StageOperator
from lakeloop_airflow.training import TrainOperator, slots_of
from lakeloop_airflow.waiting import WaitingOperator


def stage_tasks(loop: LoopSpec, dag: str, *, inlets: Sequence[Asset] = ()) -> BaseOperator:
    """Build the tasks of the stages of `dag`, each after the one before; the first task.

    A stage that has nothing to do holds up none after it. `inlets` are what the first task reads.
    """
    first: list[BaseOperator] = []
    before: list[BaseOperator] = []
    for stage in stages_of(dag, loop):
        options: dict[str, Any] = {"trigger_rule": TriggerRule.NONE_FAILED} if before else {}
        if inlets and not before:
            options["inlets"] = list(inlets)
        if stage.announces:
            options["outlets"] = [getattr(loop_assets(loop.name), stage.announces)]
        tasks = _tasks_of(loop, stage, options)
        for one, (begin, _) in itertools.product(before, tasks):
            chain(one, begin)
        first, before = first or [begin for begin, _ in tasks], [end for _, end in tasks]
    (only,) = first  # a DAG begins with a stage that runs once
    return only


def _tasks_of(
    loop: LoopSpec, stage: Stage, options: dict[str, Any]
) -> list[tuple[BaseOperator, BaseOperator]]:
    """The tasks of a stage side by side, each with the task that it ends with: itself, but for a search."""
    if stage.asks and loop.approval.kind == "human":
        ask = AskOperator(loop=loop, **{name: options[name] for name in options if name != "outlets"})
        task = StageOperator(loop=loop.name, stage=stage.name, trigger_rule=TriggerRule.NONE_FAILED)
        chain(ask, task)
        return [(ask, task)]
    if stage.per != "candidate":
        operator = WaitingOperator if stage.waits else StageOperator
        task = operator(loop=loop.name, stage=stage.name, **options)
        return [(task, task)]
    found: list[tuple[BaseOperator, BaseOperator]] = []
    candidates = loop.train.all_candidates
    for number, candidate in enumerate(candidates):
        if search := loop.train.searched(candidate.name):
            found.append(search_tasks(loop, search, stage, options))
            continue
        training = TrainOperator(
            loop=loop.name,
            candidate=candidate.name,
            pool=stage.pool,
            pool_slots=slots_of(loop.train, candidate, installation().gpu_slots),
            queue=GPU_QUEUE,
            priority_weight=len(candidates) - number,  # the cheapest first
            **options,
        )
        found.append((training, training))
    return found
