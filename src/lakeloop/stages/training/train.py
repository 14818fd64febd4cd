"""Stage `train`: one candidate from the newest data set of a partition; its records are `train-<candidate>`.

The training itself is a detached job (`lakeloop.jobs`), so that neither a retry nor a dead scheduler trains
twice. Here is what the job is given, and where its artifact goes. `train` does all of it in one call; an
orchestrator that must survive restarts calls `prepare`, the functions of `lakeloop.jobs`, and `finish`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from lakeloop.artifact import candidate_folder, open_artifact
from lakeloop.base_model import require_fit
from lakeloop.durable import write_atomically
from lakeloop.errors import ConfigurationError, JobError, TooEarlyError
from lakeloop.faults import reach
from lakeloop.jobs import AT_WORK, JobSpec, cancel, result, status, submit, wait
from lakeloop.jobs.leftovers import remove_job, reserve
from lakeloop.jobs.log_lines import teller
from lakeloop.jobs.state import Workdir
from lakeloop.measures.base import shown
from lakeloop.records import StageRecord
from lakeloop.spec.origins import origins_of
from lakeloop.stages.frame.activity import is_training, running
from lakeloop.stages.frame.cost import budget_status, unfinished
from lakeloop.stages.frame.pending import Pending, Standing
from lakeloop.stages.frame.session import StageContext, StageSession
from lakeloop.stages.training.frozen import newest_dataset
from lakeloop.stages.training.need import need_of
from lakeloop.stages.training.order import Training, training_on
from lakeloop.stages.training.plan import decide_from
from lakeloop.tracking.journal import JournalIdentity
from lakeloop.tracking.tracker import NoopTracker

log = logging.getLogger(__name__)

_JOB = "training.train"
_DATASET_FILES = ("dataset.json", "train.parquet", "validation.parquet")
"""What a job sees of a data set: not its test rows."""
_INPUTS = "inputs/dataset"
"""The folder of a job that has them."""
COSTS = ("gpu_seconds", "peak_memory_mb", "peak_gpu_memory_mb", "energy_joules", "tries")
"""What the record says of the cost, beside seconds; what a machine does not tell is left out."""
SCORES = "validation/"
"""Begins the names of scores among the metrics of a record."""


def train(context: StageContext, partition: str, candidate: str) -> StageRecord:
    """Train a candidate on the data set of `partition`, wait for it and store it in the lake.

    Outputs: artifact (name of the folder in the lake) and its digest. Metrics: scores on validation rows,
    seconds.

    Raises:
        ConfigurationError, DataError: the training cannot be done as the loop file and the data are.
        JobError: the job was ended or lost; call again.
        FenceError: a newer attempt of this stage began meanwhile; only that one is recorded.
    """
    order = order_of(context, partition, candidate)
    if context.loop.train.searched(candidate):
        from lakeloop.stages.training.search import search

        return search(context, partition, order)

    def trained() -> str:
        job = job_of(context, partition, order)
        require_budget(context, job)
        job_id = submit(job)
        reach("train.after-submit")
        try:
            wait(job_id, on_line=teller(log))
        except KeyboardInterrupt:
            cancel(job_id)  # a person who types Ctrl-C wants the processor back
            raise
        return job_id

    return _carry_out(context, partition, order, trained)


def pending(standing: Standing) -> Iterator[Pending]:
    """The training that is due on what is published, unless one is running."""
    if any(is_training(activity) for activity in running(standing.activities)):
        return
    decision = decide_from(standing.loop, standing.entries, standing.new_rows, standing.unfinished)
    if decision.train:
        yield Pending("train", decision.partition, decision.reason)


def prepare(context: StageContext, partition: str, candidate: str) -> JobSpec:
    """The job that trains a candidate, with its inputs in its folder; the same inputs make the same job.

    Raises:
        DataError: no data set was made for this partition.
        ConfigurationError: there is no such candidate, the base model or the training code is not where it
            should be, or the loop is over its budget.
    """
    job = job_of(context, partition, order_of(context, partition, candidate))
    require_budget(context, job)
    return job


def stored(context: StageContext, partition: str, candidate: str) -> bool:
    """Whether this very training was done and its artifact is in the lake; then `finish` needs no job."""
    order = order_of(context, partition, candidate)
    work = context.work(order.stage, partition)
    look = StageSession(context, order.stage, partition, dict(order.config), work, NoopTracker())
    name_inputs(look, order)
    return stored_before(look) is not None or made_before(look) is not None


def finish(context: StageContext, partition: str, candidate: str, job_id: str) -> StageRecord:
    """Store the artifact of a job that has succeeded, and record it; see `train`.

    Raises:
        JobError: the job has no result, or is not the one that would be ordered now.
        ArtifactError: the artifact is not whole.
        FenceError: a newer attempt of this stage began meanwhile; only that one is recorded.
    """
    return _carry_out(context, partition, order_of(context, partition, candidate), lambda: job_id)


def _carry_out(context: StageContext, partition: str, order: Training, job: Callable[[], str]) -> StageRecord:
    """The stage around a training: unchanged when its artifact is stored, else `job` makes the artifact."""
    with context.stage(order.stage, partition, config=order.config) as stage:
        name_inputs(stage, order)
        if done := stored_before(stage):
            return done
        stage.claim()
        if earlier := made_before(stage):
            return taken_again(stage, earlier)
        return _publish(stage, order, job())


def require_budget(context: StageContext, job: JobSpec | None = None) -> None:
    """Require that the loop may begin another training; a `job` that is at work, or done, may be finished.

    Raises:
        ConfigurationError: what the trainings of this week or month have cost has reached `train.budget`.
    """
    if job is not None and status(str(job.workdir)).state in (*AT_WORK, "succeeded"):
        return
    # What it has cost itself is no reason to leave it where its checkpoint stands.
    tries = unfinished(context.settings, context.loop.name)
    others = [each for each in tries if job is None or each.job != job.workdir.name]
    budget = budget_status(context.loop, context.lake.ledger.entries(), others)
    if budget and budget.exhausted:
        raise ConfigurationError(
            "the loop is over its budget, and trains no more",
            where=f"{context.loop.name} train.budget",
            expected="less than its limit before a training begins",
            found=budget.sentence,
            remedy=f"raise it in the loop file, or wait: a new one begins on {budget.until:%Y-%m-%d}",
        )


def name_inputs(stage: StageSession, order: Training) -> None:
    """Tell the stage what the training is made from."""
    stage.inputs(**order.inputs)
    for name, parts in order.parts.items():
        stage.made_of(name, parts)


def made_before(stage: StageSession) -> StageRecord | None:
    """The newest record of this very training whose artifact is in the lake, whatever was trained since."""
    earlier = stage.context.lake.ledger.entries(stage.name, stage.partition, "done")
    files = stage.context.lake.files
    return next(
        (
            record
            for record in reversed(earlier)
            if stage.is_this_work(record) and files.exists(record.outputs["artifact"])
        ),
        None,
    )


def taken_again(stage: StageSession, earlier: StageRecord) -> StageRecord:
    """Record the artifact of an equal training as the newest one: what comes after takes the newest."""
    return stage.done(
        reason=f"not trained again: equal to {earlier.title}, whose model is taken; {earlier.reason}",
        outputs=earlier.outputs,
        metrics={key: value for key, value in earlier.metrics.items() if key.startswith(SCORES)},
        links=earlier.links,
        settings=earlier.settings,
    )


def order_of(context: StageContext, partition: str, name: str) -> Training:
    """The training of a candidate on the newest data set of `partition`.

    Raises:
        TooEarlyError: none was frozen.
        ConfigurationError: see `training_on`.
    """
    dataset = newest_dataset(context, partition)
    if dataset is None:
        raise TooEarlyError(
            "no data set to train on",
            where=f"{context.loop.name} {partition}",
            expected="a data set frozen for this partition",
            remedy=f"lakeloop dataset {context.loop.name} --partition {partition}",
        )
    return training_on(context, name, dataset.outputs["dataset"], dataset.outputs["digest"])


def job_of(context: StageContext, partition: str, order: Training) -> JobSpec:
    """The job of a training, with its inputs in its folder; `context` has the loop as it is for it.

    Raises:
        ConfigurationError: the training does not fit its base model, which no job is needed to know.
    """
    workdir = context.work(order.stage, partition) / order.folder
    reserve(Workdir(workdir))
    base, loop = order.base.placed(context, workdir / "inputs"), context.loop
    require_fit(loop.train, base, order.candidate, loop.task)
    return JobSpec(
        job=_JOB,
        config={
            **_told(context, order),
            "partition": partition,
            "dataset": str(_fetch_dataset(context, order, workdir / _INPUTS)),
            "base_folder": str(base) if base else None,
            "beside": {
                key: str(each.placed(context, workdir / "inputs")) for key, each in order.beside.items()
            },
            "cache": str(context.settings.cache),
            "journals": str(context.settings.journals),
            "stage": order.job_stage,
            "key": order.folder,
        },
        # Much of what the job is told decides nothing: a change of that must not keep a try from its job.
        work=order.work,
        workdir=workdir,
        root=context.settings.root,
        threads=context.settings.training_threads,
        launcher=context.loop.train.launcher_of(order.candidate),
        processes=context.loop.train.processes,
        time_limit_seconds=60 * context.loop.train.time_limit_minutes,
        need=need_of(context, order.candidate, order.stage, partition),
    )


def _told(context: StageContext, order: Training) -> dict[str, Any]:
    """All that the loop file, as it is for this run, says of the training of a candidate."""
    loop, candidate, tried = context.loop, order.candidate, order.tried
    return {
        "loop": loop.name,
        "candidate": candidate.model_dump(mode="json"),
        # What the file leaves open stays open: a method and candidates are not said together.
        "train": loop.train.model_dump(mode="json", exclude_unset=True),
        "task": loop.task.model_dump(mode="json"),
        "clean": loop.clean.model_dump(mode="json"),
        "metric": loop.metric.name,
        "origins": origins_of(loop.train, candidate, context.changes) | dict.fromkeys(tried or (), "search"),
        "trial": tried is not None,
    }


def _fetch_dataset(context: StageContext, order: Training, into: Path) -> Path:
    """Copy what a job may see; files that are there stay: the folder belongs to this order alone."""
    for name in _DATASET_FILES:
        if not (into / name).is_file():
            write_atomically(into / name, context.lake.files.read(order.dataset, name))
    return into


def stored_before(stage: StageSession) -> StageRecord | None:
    done = stage.unchanged()
    return done if done and stage.context.lake.files.exists(done.outputs["artifact"]) else None


def _publish(stage: StageSession, order: Training, job_id: str) -> StageRecord:
    """Store the artifact, then record it; the stage is claimed."""
    workdir = Path(job_id)
    if workdir.name != order.folder:
        raise JobError(
            "the job is not the one that would be ordered now",
            where=job_id,
            expected=order.folder,
            remedy="its data set, its configuration or the training code changed since; train again",
        )
    found = result(job_id)
    if begun := status(job_id).started_at:
        # This attempt may not have waited for all of the job: the stage took as long as the job did.
        stage.started_at = min(stage.started_at, begun)
    artifact = workdir / "artifact"
    name = artifact_name(found)
    opened = open_artifact(artifact, expect=found["digest"])
    if done := stored_before(stage):  # by an attempt that waited for the same job
        return done
    uri = stage.context.lake.files.put(artifact, name, opened.files)
    reach("train.before-ledger")
    _track(stage, order, found, artifact, uri)
    scores, metric = found["metrics"], stage.context.loop.metric
    record = stage.done(
        reason=f"{found['method']}: {metric.title} {shown(scores[metric.name])} on validation rows,"
        f" {found['seconds']:.0f} s on {found['device']}",
        outputs={"artifact": name, "digest": opened.digest},
        metrics={
            **{f"{SCORES}{key}": float(value) for key, value in scores.items()},
            "seconds": float(found["seconds"]),
            "cpu_seconds": float(found["cpu_seconds"]),
            **{key: float(found["cost"][key]) for key in COSTS if key in found.get("cost", {})},
        },
        links={"log": str(workdir / "job.log"), "training_run": str(_journal(stage, order, found))},
        settings=found["settings"],
    )
    forget_others(stage, workdir)
    return record


def _track(stage: StageSession, order: Training, found: Mapping[str, Any], artifact: Path, uri: str) -> None:
    """The model, and where its training is: steps and epochs are in the job's own run, and not here again."""
    stage.tracker.config({"settings": found["settings"], "training_run": f"{order.job_stage}/{found['run']}"})
    loop, card = stage.context.loop.name, artifact.parent / _INPUTS / _DATASET_FILES[0]
    if card.is_file():  # the data set's own run has made it, of the same bytes
        made_from = {"digest": order.inputs["dataset"]}
        stage.tracker.artifact(f"{loop}-dataset", "dataset", card, made_from, used=True)
    metadata = {"digest": found["digest"], "dataset": order.dataset, "uri": uri, **found["metrics"]}
    name = stage.context.collection(order.candidate.name)
    stage.tracker.artifact(name, "model", artifact, metadata)


def _journal(stage: StageSession, order: Training, found: Mapping[str, Any]) -> Path:
    """The journal of the job's try that succeeded."""
    loop = stage.context.loop.name
    identity = JournalIdentity(loop, order.job_stage, stage.partition, found["run"])
    return identity.path(stage.context.settings.journals)


def forget_others(stage: StageSession, kept: Path) -> None:
    """Remove the folders, 200 MB each, of this candidate's earlier jobs that are of no use any more."""
    for folder in stage.work.parent.glob("*/job-*"):
        if folder.resolve() != kept.resolve() and _is_of_no_use(stage, folder):
            with suppress(OSError):  # maintenance removes it at this moment, or it is another user's
                remove_job(folder)


def _is_of_no_use(stage: StageSession, folder: Path) -> bool:
    """Whether the artifact is in the lake; of a failed job, whether its partition has a better one now."""
    state = status(str(folder)).state
    if state == "failed":  # the folder of another partition has the log that a person may be looking for
        return folder.parent.resolve() == stage.work.resolve()
    if state != "succeeded":
        return False
    try:
        name = artifact_name(result(str(folder)))
    except (JobError, KeyError):  # removed at this moment, or unreadable: it stays
        return False
    return stage.context.lake.files.exists(name)


def artifact_name(found: Mapping[str, Any]) -> str:
    """Name in the lake of what a job has made."""
    return candidate_folder(found["digest"])
