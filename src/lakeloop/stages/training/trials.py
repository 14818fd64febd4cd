"""One trial of a search: a training with values of its own, as a job, watched and perhaps ended early.

Whoever works on a slot may be killed at any moment: the job goes on, and the next who works on the slot finds
both the trial and its job. Bringing a whole search to its end is `search`.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lakeloop.durable import write_atomically
from lakeloop.errors import ConfigurationError
from lakeloop.faults import reach
from lakeloop.jobs import AT_WORK, cancel, result, status, submit, wait
from lakeloop.jobs.state import Workdir
from lakeloop.records import EXPERIMENT
from lakeloop.removal import remove
from lakeloop.search.found import Bar, Cost, TrialFound, ranked
from lakeloop.search.giving_up import give_up
from lakeloop.search.study import Begun, Study
from lakeloop.spec.search import METHOD
from lakeloop.stages.frame.cost import tries_of
from lakeloop.stages.frame.session import StageContext
from lakeloop.stages.training.order import Training, training_on
from lakeloop.stages.training.train import SCORES, job_of, order_of, require_budget

log = logging.getLogger(__name__)

_MANY = "training.trials"
"""The job that carries out many trials."""
Say = Callable[[str], None]
_HOUR = 3600.0


@dataclass(frozen=True)
class Searching:
    """A search of one candidate on one data set."""

    context: StageContext
    partition: str
    order: Training
    """That of the search: its config names the space, not the values of a trial."""

    @classmethod
    def of(cls, context: StageContext, partition: str, candidate: str) -> Searching:
        """The search of a candidate on the newest data set of `partition`.

        Raises:
            DataError, ConfigurationError: see `order_of`.
        """
        return cls(context, partition, order_of(context, partition, candidate))

    @property
    def name(self) -> str:
        """Of its study: equal searches on equal data sets are one, but for those of experiments.

        A study names folders of jobs, and an experiment has folders of its own.
        """
        of = EXPERIMENT + self.order.experiment if self.order.experiment else ""
        return f"{self.partition}/{self.order.candidate.name}{of}/{self.order.work[:16]}"

    @property
    def many(self) -> bool:
        """Whether one process scores many trials: they differ in keys of the method alone."""
        search = self.context.loop.train.search
        assert search is not None
        own = all(key.startswith(METHOD) for key in search.space)
        return own and self.order.candidate.method.many_a_process

    @property
    def work(self) -> Path:
        """The folder that has the folders of its jobs."""
        return self.context.work(self.order.stage, self.partition)

    def study(self) -> Study:
        """The study as it stands.

        Raises:
            ConfigurationError, TransientError: see `open_storage`.
        """
        loop = self.context.loop
        return Study(self.context.settings, loop.name, self.name, loop.train, loop.metric)

    def trial(self, values: Mapping[str, Any]) -> tuple[StageContext, Training]:
        """The training that a trial with these values is, and the context with the loop file as for it."""
        context, name = self.context, self.order.candidate.name
        loop = context.loop.model_copy(update={"train": context.loop.train.tried(name, values)})
        context = dataclasses.replace(context, loop=loop)
        order = training_on(context, name, self.order.dataset, self.order.inputs["dataset"])
        return context, dataclasses.replace(order, tried=dict(values))

    @property
    def account(self) -> Path:
        """The folder of what trials that have ended have cost, until the search is recorded.

        It is that of a job without a result, so that the budget counts it.
        """
        return self.work / f"job-search-{self.order.work[:16]}"

    def charge(self, number: int, cost: Cost) -> None:
        """Write down what trial `number` has cost."""
        spent = Workdir(self.account).spent
        spent.mkdir(parents=True, exist_ok=True)
        said = {"wall_seconds": cost.seconds, **cost.model_dump(exclude={"seconds"}, exclude_none=True)}
        write_atomically(spent / f"trial-{number}.json", json.dumps(said) + "\n")


def carry_out(
    searching: Searching, slots: Sequence[int], say: Say, on_job: Say = lambda _: None
) -> list[TrialFound]:
    """Bring slots of the search to their end, one after the other; returns their last trials.

    `say` gets the lines of the logs of jobs, `on_job` the id of each job that is waited for.

    Raises:
        DataError: no trial can succeed on these data.
        JobError: the job was ended or lost; call again, and the trial goes on.
    """
    study = searching.study()
    if searching.many:
        _train_many(searching, study, slots, say, on_job)
    else:
        for slot in slots:
            _carry_out(searching, study, slot, say, on_job)
    last = {trial.slot: trial for trial in study.trials()}
    return [last[slot] for slot in slots if slot in last]


def _end_over_budget(searching: Searching, study: Study) -> None:
    """End a search that has found something, and begin none that has not, when the budget is spent."""
    trials = study.trials()
    if any(trial.state == "running" for trial in trials):  # what was begun may be finished
        return
    try:
        require_budget(searching.context)
    except ConfigurationError as error:
        if not any(trial.state == "complete" for trial in trials):
            raise
        study.end(f"{error.message}: {error.found}")


def _carry_out(searching: Searching, study: Study, slot: int, say: Say, on_job: Say) -> None:
    _end_over_budget(searching, study)
    while (begun := study.begin(slot)) is not None:
        log.info("trial %d of slot %d: %s", begun.number, slot, begun.values)
        if begun.same_as is not None and begun.same_as.score is not None:
            reason = f"not trained: the values of trial {begun.same_as.number}"
            study.complete(begun, begun.same_as.score, Cost(), reason)
        else:
            _train(searching, study, begun, say, on_job)
        give_up(study, baseline(searching))


def _train_many(searching: Searching, study: Study, slots: Sequence[int], say: Say, on_job: Say) -> None:
    """One job for all of `slots`."""
    _end_over_budget(searching, study)
    if study.over() or not (left := [slot for slot in slots if slot not in study.settled()]):
        return
    context, bar = searching.context, baseline(searching)
    order = dataclasses.replace(searching.order, tried={}, slots=tuple(slots))
    job = job_of(context, searching.partition, order)
    config = {
        "home": str(context.settings.home),
        "study": searching.name,
        "slots": left,
        "bar": bar.model_dump(mode="json") if bar else None,
    }
    job = job.model_copy(update={"job": _MANY, "config": {**job.config, **config}})
    job_id = submit(job)
    on_job(job_id)
    reach("train.after-submit")
    try:
        wait(job_id, on_line=say)
    except KeyboardInterrupt:
        cancel(job_id)
        raise
    cost = cost_of(result(job_id))
    searching.charge(slots[0], cost)
    study.share(slots, cost)
    _forget(Path(job_id))


def _train(searching: Searching, study: Study, begun: Begun, say: Say, on_job: Say) -> None:
    context, order = searching.trial(begun.values)
    job = job_of(context, searching.partition, order)
    begun.in_folder(order.folder)
    job_id = submit(job)
    on_job(job_id)
    reach("train.after-submit")
    watcher = _Watcher(begun, Workdir(Path(job_id)))
    try:
        wait(job_id, on_line=say, meanwhile=watcher.look)
    except ConfigurationError as error:  # these values; others may do
        fail(searching, study, begun.number, order.folder, error.message)
        return
    except KeyboardInterrupt:
        cancel(job_id)
        raise
    found = result(job_id)
    cost = cost_of(found)
    searching.charge(begun.number, cost)
    if found.get("ended_early"):
        study.prune(begun, cost)
    else:
        study.complete(begun, float(found["metrics"][study.metric.name]), cost)
    forget(searching, study)


@dataclass
class _Watcher:
    """Takes what a job tells of its epochs to the study, and the study's wish to the job."""

    begun: Begun
    workdir: Workdir
    _told: int = 0

    def look(self) -> None:
        try:
            lines = self.workdir.scores.read_text().splitlines(keepends=True)
        except FileNotFoundError:
            return
        for line in lines[self._told :]:
            if not line.endswith("\n"):
                return
            said = json.loads(line)
            self._told += 1
            if self.begun.report(int(said["epoch"]), float(said["score"])):
                self.workdir.stop.touch()


def cost_of(found: Mapping[str, Any]) -> Cost:
    """What a job with a result has cost."""
    told = found.get("cost", {})
    names = ("gpu_seconds", "energy_joules", "peak_memory_mb")
    more = {name: float(told[name]) for name in names if name in told}
    return Cost(seconds=float(found["seconds"]), cpu_seconds=float(found["cpu_seconds"]), **more)


def fail(searching: Searching, study: Study, number: int, folder: str, reason: str) -> None:
    """End a trial that will have no score, with what its job has cost so far."""
    workdir = Workdir(searching.work / folder)
    tries = list(tries_of(workdir)) if folder else []
    cost = Cost(
        seconds=_HOUR * sum(each.wall_hours for each in tries),
        cpu_seconds=_HOUR * sum(each.cpu_hours for each in tries),
        gpu_seconds=_HOUR * sum(each.gpu_hours for each in tries),
    )
    searching.charge(number, cost)
    study.fail(number, reason, cost)
    if folder:
        _forget(workdir.path)


def reap(searching: Searching, study: Study) -> list[int]:
    """End the trials whose workers did not come back; returns their numbers.

    To be called when nobody works on the search any more.
    """
    left = [trial for trial in study.trials() if trial.state == "running"]
    for trial in left:
        if trial.folder:
            job_id = str(searching.work / trial.folder)
            if status(job_id).state in AT_WORK:
                cancel(job_id)
        fail(searching, study, trial.number, trial.folder, "its worker did not come back")
    return [trial.number for trial in left]


def forget(searching: Searching, study: Study) -> None:
    """Remove the models, a hundred MB each, of trials that are not among the best any more."""
    trials = study.trials()
    best = ranked(trials, higher_is_better=study.metric.higher_is_better)[: study.search.keep]
    needed = {trial.folder for trial in best} | {trial.folder for trial in trials if trial.state == "running"}
    for folder in {trial.folder for trial in trials if trial.folder} - needed:
        _forget(searching.work / folder)


def _forget(folder: Path) -> None:
    with suppress(OSError):  # of another worker, which removes it too
        remove(folder)


def baseline(searching: Searching) -> Bar | None:
    """The best of the cheaper candidates on the same data set."""
    context, metric = searching.context, searching.context.loop.metric
    best: Bar | None = None
    for each in context.loop.train.all_candidates:
        if each.name == searching.order.candidate.name:
            break
        record = context.lake.ledger.latest(
            context.record_name("train", each.name), searching.partition, "done"
        )
        if record is None or record.inputs.get("dataset") != searching.order.inputs["dataset"]:
            continue
        score = record.metrics.get(f"{SCORES}{metric.name}")
        if score is not None and (best is None or metric.advantage(score, best.score) > 0):
            best = Bar(name=each.name, score=score)
    return best
