"""Where a loop stands, for people: the command `status`, the page in Airflow, the summary of the demo.

Reads the ledger, the registry and the newest evidence, and lists the source; no data table is touched. What
is left to do is `pending`; drawing the status is up to its readers.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import Field

from lakeloop.errors import ArtifactError
from lakeloop.plural import waits_for_label
from lakeloop.records import Counts, Frozen, StageRecord, Status, now
from lakeloop.stages.catalogue import DATA, candidate_of, in_order, stage_named
from lakeloop.stages.frame.activity import StageActivity, failed, running
from lakeloop.stages.frame.cost import BudgetStatus, Spent, budget_status, spent
from lakeloop.stages.frame.pending import Pending, pending_work, standing_of
from lakeloop.stages.frame.progress import Day, days_of, newest
from lakeloop.stages.frame.queue import QueuedTraining, queue_of
from lakeloop.stages.frame.session import StageContext
from lakeloop.stages.frame.tried import TrialStatus, ended_trial, trial_status
from lakeloop.stages.release.asked import Asked, asked_now

if TYPE_CHECKING:
    from lakeloop.evidence import Evidence
    from lakeloop.registry.history import History

log = logging.getLogger(__name__)

_PATIENCE = 2.0
"""Seconds for reading deliveries that look changed: a page is waiting, `maintenance` takes its time."""


class StageStatus(Frozen):
    """The newest entry of one stage."""

    stage: str
    partition: str
    status: Status
    reason: str
    finished_at: datetime
    seconds: float


class PartitionStatus(Frozen):
    """One day on its way into the mart."""

    partition: str
    read: int
    """Lines that ingest read."""
    accepted: int
    """Rows that are left after the last stage that ran."""
    quarantined: int
    """Over all stages."""
    duplicates: int
    """Over all stages."""
    reconciled: bool
    """read = accepted + quarantined + duplicates + waiting, and each stage read what one before accepted."""
    stages: tuple[str, ...]
    """Stages that are done for what is there now: ingest, transform, validate."""
    checks_passed: int
    checks_total: int
    seconds: float
    """Seconds of work of all these stages together."""
    standing: bool
    """Not published, and an earlier version of the day is still in the mart."""
    failed: str = ""
    """The stage that keeps the day from being published, see `LoopStatus.failed`."""
    waiting: int = 0
    """Rows that wait for their label."""

    @property
    def published(self) -> bool:
        return "validate" in self.stages

    @property
    def waits(self) -> str:
        """`3 rows wait for their label`."""
        return waits_for_label(self.waiting)

    @property
    def in_the_mart(self) -> str:
        """For people: yes, or how far the day is and what stands meanwhile."""
        if self.published:
            return f"yes; {self.waits}" if self.waiting else "yes"
        if self.waiting and self.waiting == self.read - self.quarantined - self.duplicates:
            return f"no; {self.waits}"
        failed = f"; {self.failed} failed" if self.failed else ""
        return f"{'an earlier version' if self.standing else 'no'}; done: {', '.join(self.stages)}{failed}"


class ChampionStatus(Frozen):
    """The model version that is champion, and how it came to be."""

    version: str
    digest: str
    candidate: str
    method: str
    metric: str
    """Title of the score's metric."""
    score: float | None
    """On the test rows, in the evaluation that let it through the gate."""
    since: datetime
    reason: str
    """The reason of the move that made it champion."""
    rolled_out: bool
    """The last roll-out was of this model, or the model server says that it answers with it."""


class DecisionStatus(Frozen):
    """The newest decision of the gate."""

    partition: str
    accepted: bool
    reason: str
    decided_at: datetime


class ExperimentStatus(Frozen):
    """The newest of an experiment: of its evaluation, or of a training that none has looked at."""

    name: str
    partition: str
    at: datetime
    scores: dict[str, float]
    """Model -> score by the loop's metric, the champion among them; empty before the evaluation."""
    report: str
    """Path of the report; empty before the evaluation."""


class RefusedRun(Frozen):
    """A journal that W&B does not take, and that is set aside for that."""

    stage: str
    partition: str
    run: str
    reason: str
    at: datetime


class LoopStatus(Frozen):
    """Everything that a person asks about a loop first."""

    loop: str
    description: str
    at: datetime
    stages: tuple[StageStatus, ...]
    """The stages that ever ran, in their order in the loop."""
    partitions: tuple[PartitionStatus, ...]
    """Oldest first."""
    totals: Counts
    """Over all partitions."""
    checks_passed: int
    checks_total: int
    scores: dict[str, float]
    """Model -> score in the newest evaluation: the candidates, the cheapest first, then the champion."""
    intervals: dict[str, tuple[float, float]] = Field(default_factory=dict)
    """Model -> the interval of 95 % of its score, where it has one."""
    champion: ChampionStatus | None
    trial: TrialStatus | None = None
    trial_ended: str = ""
    """How the newest trial ended, where its version was taken out and nothing has happened since."""
    decision: DecisionStatus | None
    asked: Asked | None = None
    """What a person is to answer; its release is then not among `pending`."""
    pending: tuple[Pending, ...]
    misfit: str = ""
    """Why no stage can run: which table has other columns than the loop file says; empty when all fit."""
    left_alone: str = ""
    """Which days with data nobody will ingest unasked, and how to have them; empty when there are none."""
    running: tuple[StageActivity, ...] = ()
    """What runs on this machine now."""
    queue: tuple[QueuedTraining, ...] = ()
    """Trainings that wait for a device, oldest first."""
    failed: tuple[StageActivity, ...] = ()
    """Failures that nothing has mended since, oldest first."""
    experiments: tuple[ExperimentStatus, ...] = ()
    """The newest first; nothing else here speaks of them, but for what runs, has failed and was spent."""
    cost: Spent = Spent()
    """Of all trainings there ever were."""
    budget: BudgetStatus | None = None
    refused_runs: tuple[RefusedRun, ...] = ()
    """What W&B does not take, oldest first; `lakeloop mirror --again` has it tried again."""
    links: dict[str, str]
    """Paths or URLs of what is there: report, data_docs, wandb (a folder), server."""


def loop_status(context: StageContext, entries: Sequence[StageRecord] | None = None) -> LoopStatus:
    """The status of the context's loop, now; `entries` are its ledger where that was read before."""
    from lakeloop.registry.registry import Registry

    entries = context.lake.ledger.entries() if entries is None else entries
    history = Registry(context.lake, context.attempt).read()
    champion = _champion(context, entries, history)
    evidence, metric = _evidence(context, entries), context.loop.metric.name
    standing = standing_of(context, entries, history, _PATIENCE)
    failures = failed(standing.activities, entries)
    failed_on = {one.partition: one.stage for one in failures if one.stage in DATA}
    asked = asked_now(context)
    partitions = tuple(_partition(day, failed_on.get(day.partition, "")) for day in days_of(entries))
    return LoopStatus(
        loop=context.loop.name,
        description=context.loop.description,
        at=now(),
        stages=_stages(context, entries),
        partitions=partitions,
        totals=Counts(
            read=sum(p.read for p in partitions),
            accepted=sum(p.accepted for p in partitions),
            quarantined=sum(p.quarantined for p in partitions),
            duplicates=sum(p.duplicates for p in partitions),
            waiting=sum(p.waiting for p in partitions),
        ),
        checks_passed=sum(p.checks_passed for p in partitions),
        checks_total=sum(p.checks_total for p in partitions),
        scores=evidence.scores_by(metric) if evidence else {},
        intervals=evidence.intervals_by(metric) if evidence else {},
        champion=champion,
        trial=trial_status(history),
        trial_ended=ended_trial(history),
        decision=_decision(entries),
        asked=asked,
        pending=tuple(step for step in pending_work(standing) if _is_left(step, asked, champion)),
        misfit=context.lake.misfit(context.loop),
        left_alone=standing.left_alone,
        running=running(standing.activities),
        queue=queue_of(context),
        failed=failures,
        experiments=tuple(_experiments(entries, metric)),
        cost=spent(entries, unfinished=standing.unfinished),
        budget=budget_status(context.loop, entries, standing.unfinished),
        refused_runs=_refused_runs(context),
        links=_links(context, entries),
    )


def _is_left(step: Pending, asked: Asked | None, champion: ChampionStatus | None) -> bool:
    """Whether a run has to do this step: no person is asked first, and no server does it by itself."""
    if step.stage == "rollout":
        return champion is None or not champion.rolled_out
    return asked is None or (step.stage, step.partition) != ("release", asked.partition)


def _stages(context: StageContext, entries: Sequence[StageRecord]) -> tuple[StageStatus, ...]:
    last = {entry.stage: entry for entry in entries if not entry.experiment}
    candidates = [each.name for each in context.loop.train.all_candidates]

    def position(stage: str) -> tuple[int, int]:
        candidate = candidate_of(stage)
        return in_order(stage), candidates.index(candidate) if candidate in candidates else len(candidates)

    return tuple(
        StageStatus(
            stage=stage,
            partition=last[stage].partition,
            status=last[stage].status,
            reason=last[stage].reason,
            finished_at=last[stage].provenance.finished_at,
            seconds=last[stage].provenance.seconds,
        )
        for stage in sorted(last, key=position)
    )


def _partition(day: Day, failed: str) -> PartitionStatus:
    counted = [record.counts for record in day.records if record.counts]
    read, accepted = (counted[0].read, counted[-1].accepted) if counted else (0, 0)
    quarantined = sum(counts.quarantined for counts in counted)
    duplicates = sum(counts.duplicates for counts in counted)
    waiting = sum(counts.waiting for counts in counted)
    # Each stage must have read what the one before it left, or rows went missing in between.
    linked = all(later.read == earlier.accepted for earlier, later in itertools.pairwise(counted))
    checks = day.validate.metrics if day.validate else {}
    return PartitionStatus(
        partition=day.partition,
        read=read,
        accepted=accepted,
        quarantined=quarantined,
        duplicates=duplicates,
        reconciled=linked and read == accepted + quarantined + duplicates + waiting,
        stages=tuple(record.stage for record in day.records),
        checks_passed=int(checks.get("checks/passed", 0)),
        checks_total=int(checks.get("checks/total", 0)),
        seconds=sum(record.provenance.seconds for record in day.records),
        standing=day.standing is not None,
        failed="" if day.validate else failed,
        waiting=waiting,
    )


def _champion(
    context: StageContext, entries: Sequence[StageRecord], history: History
) -> ChampionStatus | None:
    from lakeloop.stages.release.rollout import answers_now

    version, move = history.alias("champion"), history.last_move("champion")
    if version is None or move is None:
        return None
    rollout = newest(entries, "rollout")
    metric = context.loop.metric
    return ChampionStatus(
        version=version.name,
        digest=version.digest,
        candidate=version.card.candidate,
        method=version.card.method,
        metric=metric.title,
        score=version.card.metrics.get(metric.name),
        since=move.moved_at,
        reason=move.reason,
        rolled_out=(rollout is not None and rollout.outputs.get("digest") == version.digest)
        or answers_now(context, version),
    )


def _decision(entries: Sequence[StageRecord]) -> DecisionStatus | None:
    release = newest(entries, "release")
    if release is None:
        return None
    return DecisionStatus(
        partition=release.partition,
        accepted=release.status == "done",
        reason=release.reason,
        decided_at=release.provenance.finished_at,
    )


def _experiments(entries: Sequence[StageRecord], metric: str) -> Iterator[ExperimentStatus]:
    """Each experiment that has trained something, the newest first, by its last training or evaluation."""
    newest: dict[str, StageRecord] = {}
    for entry in reversed(entries):
        if entry.experiment and entry.status == "done" and stage_named(entry.stage).name != "dataset":
            newest.setdefault(entry.experiment, entry)
    for name, entry in newest.items():
        evaluated, end = stage_named(entry.stage).name == "evaluate", f"/{metric}"
        scores = {
            key.removesuffix(end): score
            for key, score in entry.metrics.items()
            if evaluated and key.count("/") == 1 and key.endswith(end)
        }
        yield ExperimentStatus(
            name=name,
            partition=entry.partition,
            at=entry.provenance.finished_at,
            scores=scores,
            report=entry.links.get("report", ""),
        )


def _evidence(context: StageContext, entries: Sequence[StageRecord]) -> Evidence | None:
    """What the newest evaluation found; None before the first, or when it cannot be read."""
    from lakeloop.evaluation.stored import evidence_of

    evaluation = newest(entries, "evaluate")
    if evaluation is None:
        return None
    try:
        return evidence_of(context.lake.files, evaluation)
    except ArtifactError as error:  # the rest of the status is shown all the same
        log.warning("no scores to show: %s", error)
        return None


def _refused_runs(context: StageContext) -> tuple[RefusedRun, ...]:
    from lakeloop.tracking.progress import set_aside

    return tuple(
        RefusedRun(
            stage=journal.parts[-3],
            partition=journal.parts[-2],
            run=journal.stem,
            reason=found.reason,
            at=found.at,
        )
        for journal, found in set_aside(context.settings.journals, context.loop.name)
    )


def _links(context: StageContext, entries: Sequence[StageRecord]) -> dict[str, str]:
    evaluation, validate = newest(entries, "evaluate"), newest(entries, "validate")
    links = {
        "report": evaluation.links.get("report", "") if evaluation else "",
        "data_docs": validate.links.get("data_docs", "") if validate else "",
        "wandb": str(context.settings.wandb_dir) if context.settings.wandb_dir.exists() else "",
        "server": _own_model(context),
    }
    return {name: link for name, link in links.items() if link}


def _own_model(context: StageContext) -> str:
    """Address at which the model server says which model of this loop answers."""
    server = context.settings.server_link or context.settings.server_url
    return f"{server.rstrip('/')}/v1/loops/{context.loop.name}/model"
