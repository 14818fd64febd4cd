"""Many trials of a search in one process: what they share is made once, and each is a fit of a second.

Run as `python -m training.trials --config WORKDIR/config.json`. It asks the study for each trial and tells it
the score; the models of the best are trained afterwards, each as a job of its own.
"""

from __future__ import annotations

import json
import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from lakeloop.durable import write_atomically
from lakeloop.errors import ConfigurationError
from lakeloop.faults import reach
from lakeloop.jobs.state import Workdir
from lakeloop.search.found import Bar, Cost
from lakeloop.search.giving_up import give_up
from lakeloop.search.study import Begun, Study
from lakeloop.settings import Settings
from lakeloop.tracking.journal import JournalTracker
from training.account import Account
from training.cost import Meter, together
from training.ending import Ending
from training.job import Job, journal_of, open_job, work_as_process
from training.job_config import JobConfig
from training.methods.base import ManyTrials
from training.methods.registry import method_of
from training.ranks import Ranks
from training.tasks.registry import training_task

log = logging.getLogger(__name__)


class TrialsConfig(JobConfig):
    """What such a job is told; `train` has the search."""

    home: Path
    """Where the study is, unless a setting says that it is in a database."""
    study: str
    """Its name."""
    slots: tuple[int, ...]
    bar: Bar | None = None
    """What a cheaper candidate has reached."""


def run(path: Path, _ending: Ending, _ranks: Ranks) -> None:
    """Carry out the trials of the slots that the config at `path` names; result.json says what that has cost.

    Raises:
        ConfigurationError, DataError: no trial can be carried out as things are.
        TransientError: the job was asked to end.
    """
    config = TrialsConfig.model_validate_json(path.read_bytes())
    workdir = Workdir(path.parent)
    account = Account(workdir.spent)
    identity, _ = journal_of(config, "")
    with (
        Meter(account=account) as meter,
        JournalTracker(identity.path(config.journals), identity) as tracker,
    ):
        job = open_job(config, tracker)
        tracker.config(config.model_dump(mode="json"))
        done = _carry_out(job, config)
        cost = together(meter.read(job.device), [])
        result = {
            "trials": done,
            "run": identity.run,
            "seconds": cost["wall_seconds"],
            "cpu_seconds": cost["cpu_seconds"],
            "cost": cost,
        }
        tracker.summary(result)
        write_atomically(workdir.result, json.dumps(result, indent=2) + "\n")
    account.clear()


def _carry_out(job: Job, config: TrialsConfig) -> int:
    settings = Settings(root=Path.cwd(), home=config.home)
    study = Study(settings, config.loop, config.study, config.train, job.judge.metric)
    task = training_task(job.dataset.contract)
    method = method_of(config.candidate.method)
    assert isinstance(method, ManyTrials), "the loop file says which methods can"
    shared, done = method.shared(job, task), 0
    for slot in config.slots:
        while (begun := study.begin(slot)) is not None:
            _trial(job, config, study, begun, shared)
            give_up(study, config.bar)
            done += 1
    return done


def _trial(job: Job, config: TrialsConfig, study: Study, begun: Begun, shared: Any) -> None:
    began, cpu = time.monotonic(), time.process_time()
    train = config.train.tried(config.candidate.name, begun.values)
    candidate = train.candidate(config.candidate.name)
    method = method_of(candidate.method)
    assert isinstance(method, ManyTrials)
    own = replace(job, config=config.model_copy(update={"train": train, "candidate": candidate}))
    reason, score = "", float("nan")
    try:
        scores = method.score(own, training_task(job.dataset.contract), shared)
        score = float(scores.named[study.metric.name])
        job.tracker.log({f"validation/{name}": value for name, value in scores.named.items()}, begun.number)
    except ConfigurationError as error:  # these values; others may do
        reason = error.message
    reach("train.mid-epoch")
    cost = Cost(seconds=round(time.monotonic() - began, 3), cpu_seconds=round(time.process_time() - cpu, 3))
    if reason:
        study.fail(begun.number, reason, cost)
    else:
        study.complete(begun, score, cost)
    log.info("trial %d, %s: %s", begun.number, begun.values, reason or f"{study.metric.title} {score:.4f}")


if __name__ == "__main__":
    work_as_process(run)
