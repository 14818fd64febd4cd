"""All stages of a loop in order, in this process, without Airflow: `lakeloop run`.

The same functions that the DAGs run, one after the other. A day that fails does not keep other days from
the mart. An event tells an error when it happens; the error at the end counts the failures.
"""

from __future__ import annotations

import functools
import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from lakeloop.datasets.published import published_partitions
from lakeloop.errors import DataError, LakeloopError, TransientError
from lakeloop.records import StageRecord
from lakeloop.stages.catalogue import DATA, STAGES, stage_named, stages_of
from lakeloop.stages.frame.labelled import got
from lakeloop.stages.frame.pending import work_left
from lakeloop.stages.frame.session import StageContext
from lakeloop.stages.training.plan import decide_training

log = logging.getLogger(__name__)

_REACH_SECONDS = 2.0
_FEW = 3


@dataclass(frozen=True)
class RunEvent:
    """The beginning or the end of one step, for a person who waits."""

    stage: str
    partition: str
    state: Literal["started", "ended", "failed", "left out"]
    message: str = ""
    """The record's reason, the error, or why it was left out."""
    record: StageRecord | None = None


@dataclass
class _Run:
    """Records and failures so far."""

    context: StageContext
    on_event: Callable[[RunEvent], None]
    records: list[StageRecord] = field(default_factory=list)
    failures: list[tuple[str, str, LakeloopError]] = field(default_factory=list)

    def step(self, name: str, partition: str, work: Callable[[], StageRecord]) -> StageRecord | None:
        """Do one stage; None when it failed."""
        self.on_event(RunEvent(name, partition, "started"))
        try:
            record = work()
        except LakeloopError as error:
            self.failures.append((name, partition, error))
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

    With `roll_out` a new champion is rolled out too, if the model server answers. Without `on_event` the
    errors are logged.

    Raises:
        LakeloopError: something failed; counts the failures, after everything else was done. Its type is
            that of a transient failure when there was one: then the same call again may help.
        DataError: none of the days has a delivery; what was due all the same is done.
    """
    state = _Run(context, on_event or _log_failure)
    days = sorted(set(partitions))
    told = _read_labels(state, days)
    for partition in days:
        _prepare(state, partition, DATA)
    for partition in sorted(told - set(days)):  # rows of days before got their labels
        _prepare(state, partition, DATA[1:])
    if newest := _newest_published(context):
        due = _train(state, newest)
        _release(state, newest, due=due, roll_out=roll_out)
        _name_scoring(state, newest)
    if state.failures:
        raise _summarised(context.loop.name, state.failures)
    read = [record for record in state.records if record.stage in ("ingest", "labels")]
    if partitions and all(record.status == "skipped" for record in read):
        raise _nothing_there(context.loop.name, state.records)
    return state.records


def _log_failure(event: RunEvent) -> None:
    if event.state == "failed":
        log.warning("%s %s failed: %s", event.stage, event.partition, event.message)


def _read_labels(state: _Run, partitions: Sequence[str]) -> set[str]:
    """Read the answers of these days that come apart from their rows; the days that these are of.

    Before the rows are read: so each day is built once.
    """
    if state.context.loop.labels is None:
        return set()
    work = stage_named("labels").function
    for partition in partitions:
        state.step("labels", partition, functools.partial(work, state.context, partition))
    told = got(state.context.lake.ledger.entries("labels"))
    due = {step.partition for step in work_left(state.context) if step.stage == "transform"}
    return due & told.keys()


def _prepare(state: _Run, partition: str, stages: Sequence[str]) -> None:
    for stage in map(stage_named, stages):
        record = state.step(
            stage.name, partition, functools.partial(stage.function, state.context, partition)
        )
        if record is None or record.status == "skipped":
            return


def _newest_published(context: StageContext) -> str | None:
    """The newest published day: an old day that was run again is trained on with all that came after it."""
    return max(published_partitions(context.lake.ledger.entries("validate")), default=None)


def _train(state: _Run, partition: str) -> bool:
    """Train when that is due; whether there is an evaluation that the gate is to decide on."""
    context = state.context
    decision = decide_training(context)
    state.on_event(RunEvent("plan", partition, "ended", decision.reason))
    if decision.train:
        for name, work in _training_steps(context, partition):
            if state.step(name, partition, work) is None:
                return False
        return True
    due = {step.stage for step in work_left(context) if step.partition == partition}
    if "evaluate" in due:  # a candidate was trained by hand
        stage = stage_named("evaluate")
        work = functools.partial(stage.function, context, partition)
        return state.step(stage.name, partition, work) is not None
    return "release" in due


def _training_steps(context: StageContext, partition: str) -> Iterator[tuple[str, Callable[[], StageRecord]]]:
    """The stages of a training in order, some once for each candidate: name of the record, work."""
    for stage in STAGES:
        if stage.phase != "training":
            continue
        names = (
            [each.name for each in context.loop.train.all_candidates] if stage.per == "candidate" else [""]
        )
        for name in names:
            arguments = (name,) if name else ()
            yield stage.record_name(name), functools.partial(stage.function, context, partition, *arguments)


def _release(state: _Run, partition: str, *, due: bool, roll_out: bool) -> None:
    """The stages of a release: those that need the model server with `roll_out`, the others when `due`.

    A version that is tried is looked at, once.
    """
    for stage in stages_of("deploy"):
        if stage.waits:
            if not _is_tried(state.context):
                continue
        elif stage.needs_server:
            why = _server_is_away(state.context) if roll_out else "not asked for: --roll-out"
            waits = roll_out or stage.name in {step.stage for step in work_left(state.context)}
            if why and waits:
                state.on_event(RunEvent(stage.name, partition, "left out", why))
            if why:
                continue
        elif not due:
            continue
        state.step(stage.name, partition, functools.partial(stage.function, state.context, partition))


def _name_scoring(state: _Run, partition: str) -> None:
    """Say that the rows that the loop file has answered are left to a verb of its own."""
    context = state.context
    if context.loop.score.source is None:
        return
    from lakeloop.registry.registry import Registry

    champion = Registry(context.lake, context.attempt).read().alias("champion")
    answered = context.lake.ledger.latest("score", partition, "done")
    if champion and (answered is None or answered.inputs.get("champion") != champion.digest):
        verb = f"{context.loop.score.source} is answered by: lakeloop score {context.loop.name}"
        state.on_event(RunEvent("score", partition, "left out", f"{verb} --partition {partition}"))


def _is_tried(context: StageContext) -> bool:
    """Whether a version is tried beside the champion: what the stage that waits looks at."""
    from lakeloop.registry.registry import Registry

    return Registry(context.lake, context.attempt).read().trial is not None


def _server_is_away(context: StageContext) -> str:
    """Why the model server cannot be asked; empty when it answers."""
    import httpx

    url = context.settings.server_url
    try:
        httpx.get(f"{url.rstrip('/')}/healthz", timeout=_REACH_SECONDS).raise_for_status()
    except httpx.HTTPError as error:
        return f"no model server at {url} ({type(error).__name__})"
    return ""


def _summarised(loop: str, failures: Sequence[tuple[str, str, LakeloopError]]) -> LakeloopError:
    """One error that counts `failures` (stage, partition, error), each of which was told before."""
    kinds = [type(error) for _, _, error in failures]
    kind = next((kind for kind in kinds if issubclass(kind, TransientError)), kinds[0])
    days: dict[str, list[str]] = defaultdict(list)
    for stage, partition, _ in failures:
        days[stage].append(partition)
    many = len(failures) > 1
    failed = f"{len(failures)} steps failed" if many else "1 step failed"
    return kind(
        f"{failed}; what does not depend on {'them' if many else 'it'} is done",
        where=f"run {loop}",
        found="; ".join(f"{stage} of {_listed(partitions)}" for stage, partitions in days.items()),
        remedy=f"mend what {'each of them' if many else 'it'} says above, then run again: what is done is"
        " not done twice",
    )


def _nothing_there(loop: str, records: Sequence[StageRecord]) -> DataError:
    """The error for days that all have no delivery."""
    missing = [record for record in records if record.stage == "ingest"]
    many = len(missing) > 1
    return DataError(
        f"there is no data for {'any of the days' if many else 'the day'}; nothing was ingested",
        where=f"run {loop}",
        expected=f"a delivery for {_listed([record.partition for record in missing])}",
        found=missing[-1].reason,
        remedy="put it there, or name days that have one: --from, --to",
    )


def _listed(days: Sequence[str]) -> str:
    """All days when they are few, else their number and the first and last of them."""
    return ", ".join(days) if len(days) <= _FEW else f"{len(days)} days, {days[0]} to {days[-1]}"
