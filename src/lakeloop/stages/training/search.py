"""A candidate that is searched for: trials in slots, then the best of them in the lake, as one record.

`search` does all of it in one call, with as many trials at once as the loop file says. An orchestrator that
gives each slot a task of its own calls `lakeloop.stages.training.trials.carry_out` there, and `finish_search`
when nobody works on a slot any more.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lakeloop.artifact import open_artifact
from lakeloop.durable import write_atomically
from lakeloop.errors import ConfigurationError, JobError
from lakeloop.jobs import cancel, result, submit, wait
from lakeloop.jobs.log_lines import teller
from lakeloop.jobs.state import usable_cores
from lakeloop.measures.base import shown
from lakeloop.records import StageRecord
from lakeloop.removal import remove
from lakeloop.scratch.folder import passing_folder
from lakeloop.search.found import SEARCH, Cost, Kept, SearchFound, TrialFound, ranked
from lakeloop.search.stored import OUTPUT, search_of
from lakeloop.search.study import Study
from lakeloop.search.telling import tell
from lakeloop.stages.frame.session import StageContext, StageSession
from lakeloop.stages.training.order import Training
from lakeloop.stages.training.train import (
    SCORES,
    artifact_name,
    job_of,
    made_before,
    name_inputs,
    stored,
    stored_before,
    taken_again,
)
from lakeloop.stages.training.trials import Say, Searching, baseline, carry_out, cost_of, fail, reap

log = logging.getLogger(__name__)

_TRIES = 3
"""How often a job of a trial that was ended or lost is begun again."""


def search(context: StageContext, partition: str, order: Training) -> StageRecord:
    """Carry out the search that `order` is, and store its best models in the lake.

    Outputs: artifact and digest of the best model, search (folder in the lake with all trials). Metrics:
    scores of the best on validation rows; seconds and more are those of all trials together.

    Raises:
        ConfigurationError: no trial has a score.
        DataError, JobError, FenceError: see `train`.
    """
    return _carry_out(Searching(_shared(context), partition, order), work=True)


def finish_search(context: StageContext, partition: str, candidate: str) -> StageRecord:
    """End a search whose slots were worked on elsewhere; see `search`.

    To be called when nobody works on a slot any more. A trial that was left is given up; a model of the best
    that is not on this host is trained again.
    """
    return _carry_out(Searching.of(context, partition, candidate), work=False)


def slots_left(context: StageContext, partition: str, candidate: str) -> list[list[int]]:
    """The slots that are to be worked on, those of one task together.

    None when this very search was done and its models are stored, or when it has ended.
    """
    searching = Searching.of(context, partition, candidate)
    if stored(context, partition, candidate):
        return []
    study = searching.study()
    return [] if study.over() else _dealt(searching, study)


def _dealt(searching: Searching, study: Study) -> list[list[int]]:
    """A task for each trial, or of trials that are scored many to a process for as many as run at once."""
    left = [slot for slot in study.slots if slot not in study.settled()]
    if not searching.many:
        return [[slot] for slot in left]
    at_once = study.search.parallel
    return [left[first::at_once] for first in range(min(at_once, len(left)))]


def look(context: StageContext, partition: str) -> SearchFound | None:
    """The search of a partition as it stands, or as it ended; None when no trial has begun.

    Raises:
        DataError: the partition has no data set.
    """
    wanted = context.loop.train.search
    assert wanted is not None, "asked of a loop that searches"
    searching = Searching.of(context, partition, wanted.candidate)
    order = searching.order
    for record in reversed(context.lake.ledger.entries(order.stage, partition, "done")):
        if dict(record.config) == dict(order.config) and record.inputs["dataset"] == order.inputs["dataset"]:
            return search_of(context.lake.files, record)
    study = searching.study()
    trials = study.trials()
    return _found(searching, study, trials) if trials else None


def _carry_out(searching: Searching, *, work: bool) -> StageRecord:
    order = searching.order
    with searching.context.stage(order.stage, searching.partition, config=order.config) as stage:
        name_inputs(stage, order)
        if done := stored_before(stage):
            return done
        stage.claim()
        if earlier := made_before(stage):
            return taken_again(stage, earlier)
        study = searching.study()
        if work:
            _all_slots(searching, study)
        given_up = reap(searching, study)
        if given_up:
            log.warning("trials whose workers did not come back: %s", ", ".join(map(str, given_up)))
        return _record(stage, searching, study)


def _shared(context: StageContext) -> StageContext:
    """With the cores of this machine dealt among the trials at once, where no setting says how many."""
    search = context.loop.train.search
    assert search is not None
    if search.parallel == 1 or context.settings.training_threads:
        return context
    threads = max(1, usable_cores() // search.parallel)
    return dataclasses.replace(
        context, settings=context.settings.model_copy(update={"training_threads": threads})
    )


def _all_slots(searching: Searching, study: Study) -> None:
    worker = _Worker(searching, teller(log))
    dealt = _dealt(searching, study)
    if study.search.parallel == 1:  # Ctrl-C reaches the thread that waits for the job
        for slots in dealt:
            worker.work(slots)
        return
    with ThreadPoolExecutor(study.search.parallel) as pool:
        try:
            for done in [pool.submit(worker.work, slots) for slots in dealt]:
                done.result()
        except BaseException:
            worker.stop()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


@dataclass
class _Worker:
    """Works on slots in any number of threads."""

    searching: Searching
    say: Say
    jobs: list[str] = field(default_factory=list)
    stopped: bool = False

    def stop(self) -> None:
        """End all jobs: whoever waits for them gives up."""
        self.stopped = True
        for job_id in self.jobs:
            cancel(job_id)

    def work(self, slots: Sequence[int]) -> None:
        """Bring `slots` to their end; a trial whose job is ended or lost several times has failed."""
        for tried in range(1, _TRIES + 1):
            try:
                carry_out(self.searching, slots, self.say, self.jobs.append)
            except JobError as error:
                if self.stopped:
                    return
                if tried < _TRIES:
                    log.warning("a trial is gone on with: %s", error.message)
                else:
                    self._give_up(slots, error.message)
            else:
                return

    def _give_up(self, slots: Sequence[int], reason: str) -> None:
        study = self.searching.study()
        for trial in study.trials():
            if trial.slot in slots and trial.state == "running":
                fail(self.searching, study, trial.number, trial.folder, reason)


def _record(stage: StageSession, searching: Searching, study: Study) -> StageRecord:
    trials = study.trials()
    best = ranked(trials, higher_is_better=study.metric.higher_is_better)[: study.search.keep]
    if not best:
        error = _nothing_found(searching, study, trials)
        study.forget()  # what has kept all of them from ending well may be another thing tomorrow
        raise error
    kept, results, models = [], [], []
    for name, trial in zip(study.search.names(), best, strict=False):
        model, told = _keep(stage, searching, name, trial)
        kept.append(model)
        results.append(told)
        if searching.many:  # the trial has only scored; this was a job of its own
            models.append(cost_of(told))
    found = _found(searching, study, trials, tuple(kept))
    folder = _store(stage, found)
    tell(stage.tracker, found)
    cost = Cost.total([found.shared, *models, *(trial.cost for trial in trials)])
    record = stage.done(
        reason=_reason(searching, study, found, cost),
        outputs={"artifact": kept[0].artifact, "digest": kept[0].digest, OUTPUT: folder},
        metrics={
            **{f"{SCORES}{key}": value for key, value in kept[0].metrics.items()},
            **cost.model_dump(exclude_none=True),
            "trials": float(len(trials)),
        },
        links={"log": str(searching.work / best[0].folder / "job.log")},
        settings=results[0]["settings"],
    )
    _clear(searching, trials)
    return record


def _found(
    searching: Searching, study: Study, trials: tuple[TrialFound, ...], kept: tuple[Kept, ...] = ()
) -> SearchFound:
    return SearchFound(
        candidate=study.search.candidate,
        metric=study.metric.name,
        higher_is_better=study.metric.higher_is_better,
        sampler=study.search.sampler,
        asked=len(study.slots),
        ended=study.over(),
        trials=trials,
        bar=baseline(searching),
        shared=study.shared,
        kept=kept,
        importance=study.importance(),
    )


def _keep(
    stage: StageSession, searching: Searching, name: str, trial: TrialFound
) -> tuple[Kept, dict[str, Any]]:
    """Store the model of a trial; it is trained again where its job's folder is not here."""
    context, order = searching.trial(trial.values)
    job_id = submit(job_of(context, searching.partition, order))
    wait(job_id, on_line=teller(log))
    found = result(job_id)
    artifact = Path(job_id) / "artifact"
    opened = open_artifact(artifact, expect=found["digest"])
    digest = opened.digest
    uri = context.lake.files.put(artifact, stored := artifact_name(found), opened.files)
    metrics = {key: float(value) for key, value in found["metrics"].items()}
    stage.tracker.artifact(
        context.collection(name), "model", artifact,
        {"digest": digest, "dataset": order.dataset, "uri": uri, "trial": trial.number, **metrics},
    )  # fmt: skip
    return Kept(name=name, trial=trial.number, digest=digest, artifact=stored, metrics=metrics), found


def _store(stage: StageSession, found: SearchFound) -> str:
    """Put the trials into the lake; returns the name of their folder."""
    text = found.model_dump_json(indent=1) + "\n"
    name = f"searches/{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    with passing_folder(stage.work, "search") as scratch:
        write_atomically(scratch / SEARCH, text)
        stage.context.lake.files.put(scratch, name)
    return name


def _reason(searching: Searching, study: Study, found: SearchFound, cost: Cost) -> str:
    best, metric = found.best, study.metric
    assert best is not None
    assert best.score is not None
    parts = [f"search of {found.sentence}", f"{cost.seconds:.0f} s of trials"]
    if found.ended:
        parts.append(f"it ended before its {found.asked} trials: {found.ended}")
    if (bar := baseline(searching)) and metric.advantage(best.score, bar.score) < 0:
        parts.append(f"that is worse than the {bar.name}'s {shown(bar.score)}")
    return "; ".join(parts)


def _nothing_found(searching: Searching, study: Study, trials: Sequence[TrialFound]) -> ConfigurationError:
    reasons = [trial.reason for trial in trials if trial.reason]
    return ConfigurationError(
        "no trial of the search has a score",
        where=f"{searching.context.loop.name} train.search",
        expected="one whole trial at least",
        found="; ".join([study.over(), *reasons[-1:]]).strip("; ") or "no trial",
        remedy="see the logs of the trials; then change the space, or the budget",
    )


def _clear(searching: Searching, trials: Sequence[TrialFound]) -> None:
    """The models are in the lake and the cost is recorded: the folders of the jobs are of no use."""
    folders = {trial.folder for trial in trials if trial.folder}
    for folder in (*(searching.work / name for name in folders), searching.account):
        with suppress(OSError):
            remove(folder)
