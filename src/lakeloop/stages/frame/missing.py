"""What to run where a stage is asked for before its time: the words of a skip that a person can do away with.

A skip is no failure: a DAG goes on. Who typed the verb is told what is missing, and what to run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakeloop.records import StageRecord
from lakeloop.stages.catalogue import DATA, stage_named

if TYPE_CHECKING:
    from lakeloop.stages.frame.session import StageContext

TO_DO = "to_do"
"""The output of a skipped stage that says what to run."""


def run_first(context: StageContext, stage: str, partition: str, record: str = "") -> str:
    """The verb that makes what is missing of `partition`, and the newest day that has it, if there is one.

    `record` is what records of the stage are called, where that is not its name. Where stages before it have
    not done the day either, the first of them is named.
    """
    done = context.lake.ledger.latest
    steps = [*DATA[: DATA.index(stage) + 1]] if stage in DATA else [stage]
    while len(steps) > 1 and done(steps[0], partition, "done"):
        steps = steps[1:]
    verb = f"lakeloop {steps[0]} {context.loop.name} --partition {partition}"
    if steps[1:]:
        verb += f", then {' and '.join(steps[1:])}"
    if context.experiment and stage_named(stage).settable:
        verb += f" --experiment {context.experiment}"
    newest = context.lake.ledger.latest(record or stage, status="done")
    if newest is None or newest.partition == partition:
        return verb if context.experiment else f"{verb}, or all stages: lakeloop run {context.loop.name}"
    return f"{verb}, or name the newest day that has it: --partition {newest.partition}"


def to_do(record: StageRecord) -> str:
    """What to run before the stage of `record` has something to do; empty where nothing is missing."""
    return record.outputs.get(TO_DO, "") if record.status == "skipped" else ""
