"""All stages of a loop in order, in this process, without Airflow: `lakeloop run`.

The same functions that the DAGs run, one after the other. A day that fails does not keep other days from
the mart; what failed is named at the end, together.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from lakeloop.datasets.published import published_partitions
from lakeloop.errors import LakeloopError, TransientError
from lakeloop.records import StageRecord
from lakeloop.stages.dataset import dataset, decide_training
from lakeloop.stages.evaluate import evaluate
from lakeloop.stages.ingest import ingest
from lakeloop.stages.maintain import pending
from lakeloop.stages.release import release
from lakeloop.stages.rollout import rollout
from lakeloop.stages.session import StageContext
from lakeloop.stages.train import train
from lakeloop.stages.transform import transform
from lakeloop.stages.validate import validate

log = logging.getLogger(__name__)

_REACH_SECONDS = 2.0


@dataclass(frozen=True)
class RunEvent:
    """Something that a person who waits wants to know."""

    stage: str
    partition: str
    state: Literal["started", "ended", "failed"]
    message: str = ""
    """The record's reason, or the error."""
    record: StageRecord | None = None


@dataclass
class _Run:
    """Records and failures so far."""

    context: StageContext
    on_event: Callable[[RunEvent], None]
    records: list[StageRecord] = field(default_factory=list)
    failures: list[tuple[str, LakeloopError]] = field(default_factory=list)

    def step(self, name: str, partition: str, work: Callable[[], StageRecord]) -> StageRecord | None:
        """Do one stage; None when it failed."""
        self.on_event(RunEvent(name, partition, "started"))
        try:
            record = work()
        except LakeloopError as error:
            log.warning("%s %s %s failed: %s", self.context.loop.name, name, partition, error)
            self.failures.append((f"{name} {partition}", error))
            self.on_event(RunEvent(name, partition, "failed", str(error)))
            return None
        self.records.append(record)
        self.on_event(RunEvent(name, partition, "ended", record.reason, record))
        return record


def run(
    context: StageContext,
    partitions: Sequence[str],
    on_event: Callable[[RunEvent], None] | None = None,
    *,
    roll_out: bool = False,
) -> list[StageRecord]:
    """Bring `partitions` into the mart; train, evaluate and release when that is due. Returns the records.

    With `roll_out` a new champion is rolled out too, if the model server answers.

    Raises:
        LakeloopError: something failed; names each failure, after everything else was done. Its type is
            that of a transient failure when there was one: then the same call again may help.
    """
    state = _Run(context, on_event or _ignore)
    for partition in sorted(set(partitions)):
        _prepare(state, partition)
    if newest := _newest_published(context):
        _train_and_release(state, newest)
        if roll_out:
            _roll_out(state, newest)
    if state.failures:
        raise _summarised(context.loop.name, state.failures)
    return state.records


def _ignore(event: RunEvent) -> None:
    """Nobody waits."""


def _prepare(state: _Run, partition: str) -> None:
    for name, stage in (("ingest", ingest), ("transform", transform), ("validate", validate)):
        record = state.step(name, partition, functools.partial(stage, state.context, partition))
        if record is None or record.status == "skipped":
            return


def _newest_published(context: StageContext) -> str | None:
    """The newest published day: an old day that was run again is trained on with all that came after it."""
    return max(published_partitions(context.lake.ledger.entries("validate")), default=None)


def _train_and_release(state: _Run, partition: str) -> None:
    context = state.context
    decision = decide_training(context, partition)
    state.on_event(RunEvent("plan", partition, "ended", decision.reason))
    if decision.train:
        steps: tuple[tuple[str, Callable[[], StageRecord]], ...] = (
            ("dataset", lambda: dataset(context, partition)),
            ("train-baseline", lambda: train(context, partition, "baseline")),
            ("train-finetune", lambda: train(context, partition, "finetune")),
            ("evaluate", lambda: evaluate(context, partition)),
        )
        for name, work in steps:
            if state.step(name, partition, work) is None:
                return
    elif not any(step.stage == "release" and step.partition == partition for step in pending(context)):
        return
    state.step("release", partition, lambda: release(context, partition))


def _roll_out(state: _Run, partition: str) -> None:
    import httpx

    url = state.context.settings.server_url
    try:
        httpx.get(f"{url.rstrip('/')}/healthz", timeout=_REACH_SECONDS).raise_for_status()
    except httpx.HTTPError as error:
        message = f"not rolled out: no model server at {url} ({type(error).__name__})"
        state.on_event(RunEvent("rollout", partition, "ended", message))
        return
    state.step("rollout", partition, lambda: rollout(state.context, partition))


def _summarised(loop: str, failures: Sequence[tuple[str, LakeloopError]]) -> LakeloopError:
    """One error for all of `failures`."""
    if len(failures) == 1:
        return failures[0][1]
    kinds = [type(error) for _, error in failures]
    kind = next((kind for kind in kinds if issubclass(kind, TransientError)), kinds[0])
    return kind(
        f"{len(failures)} steps failed; everything else is done",
        where=f"run {loop}",
        found="\n".join(f"{where}: {error}" for where, error in failures),
        remedy="mend what each of them says, then run again: what is done is not done twice",
    )
