"""The frame of a training: its config, its exit codes, its journal, and what it leaves behind.

A training is `python -m training.train --config WORKDIR/config.json`. It leaves `artifact/` and then
`result.json` in WORKDIR, and ends with 0, 64 (bad configuration), 65 (bad data), 75 (was ended, or failed by
something that may pass) or 1 (any other error). What is trained is `training.tasks`, how `training.methods`.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import logging
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import transformers
from tokenizers import Tokenizer
from transformers import PreTrainedModel

from lakeloop.artifact import ENCODER, WRITER, Artifact, ArtifactDescription
from lakeloop.base_model import BaseModel, find_base_model, require_fit
from lakeloop.bases.families import TESTED
from lakeloop.bases.vocabulary import MANY_UNKNOWN, read_vocabulary
from lakeloop.cleaning.steps import steps_of
from lakeloop.durable import write_atomically
from lakeloop.errors import (
    EXIT_UNKNOWN,
    ConfigurationError,
    DataError,
    LakeloopError,
    exit_code,
)
from lakeloop.faults import reach
from lakeloop.jobs.log_lines import open_log
from lakeloop.jobs.pulse import Pulse
from lakeloop.jobs.state import Workdir
from lakeloop.measures.base import shown
from lakeloop.measures.registry import metric_of
from lakeloop.records import now
from lakeloop.spec.tasks.writing import WritingTask
from lakeloop.tasks.registry import task_of
from lakeloop.tracking.journal import JournalIdentity, JournalTracker
from lakeloop.tracking.tracker import NoopTracker, Tracker
from training.account import Account
from training.ahead import traced_ahead
from training.batch import settled
from training.checkpoint import Checkpoints
from training.cost import Meter, together
from training.data import Dataset, Tokens, dataset_of, load_tokenizer, require_tokens, tokenise
from training.device import Device, is_out_of_memory, open_device
from training.ending import Ending
from training.export import COMPARED_ROWS, export_artifact
from training.generation.export import export_writer
from training.generation.prompts import with_writing, writing_of
from training.graph import graph_of
from training.job_config import JobConfig, key_of, read_config, said_settings
from training.network import Network, TokenNetwork
from training.probe import fitting
from training.progress import Told, told_in
from training.ranks import ALONE, Ranks, cost_of_launcher, join
from training.tasks.registry import training_task
from training.trial import EndedEarlyError, Trial
from training.validation import Judge, Scores

log = logging.getLogger(__name__)


@dataclass
class Job:
    """A job at work: what it was given, opened and checked."""

    config: JobConfig
    base: BaseModel
    dataset: Dataset
    tokenizer: Tokenizer
    device: Device
    tracker: Tracker
    judge: Judge
    """Scores outputs on the validation rows."""
    checkpoints: Checkpoints | None = None
    """What this try saves, and what earlier ones have saved."""
    told: Told = field(default_factory=Told)
    """How far an earlier try has told `tracker` of the training."""
    ending: Ending = field(default_factory=Ending)
    pulse: Pulse = field(default_factory=Pulse)
    trial: Trial = field(default_factory=Trial)
    """What a search is told of the training, and whether it wants its end."""
    ranks: Ranks = ALONE
    """The processes that train together."""
    max_tokens: int = 0
    """Tokens that are read of a text; 0: as many as the loop file says."""
    made: int = 0
    """So many of the training rows, the last ones, were made of others."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Wall time of each part."""

    @property
    def settings(self) -> dict[str, Any]:
        """Every setting that decides the weights, resolved."""
        return self.config.train.settings_of(self.config.candidate)

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Add the wall time of the block to `seconds`, under `part`."""
        began = time.monotonic()
        yield
        self.seconds[part] = self.seconds.get(part, 0.0) + time.monotonic() - began
        log.info("%s: %.1f s", part, self.seconds[part])

    def suit(self, encoder: PreTrainedModel) -> None:
        """Move `encoder` to the device, and compute in float32 where it cannot in bfloat16.

        Raises:
            ConfigurationError: of an architecture that no test has tried: no graph can be made of it.
        """
        if encoder.config.model_type not in TESTED:
            graph_of(Network(encoder, 1).eval(), self.config.cache / "graphs")
        encoder.to(self.device.target)
        self.device = fitting(self.device, encoder)

    def tokenise(self) -> Tokens:
        """Tokens of all texts: the training rows, then the validation rows.

        Raises:
            ConfigurationError: the tokenizer makes no token at all of a text.
        """
        rows = self.dataset.instances
        with self.timed("tokenise"):
            tokens = replace(
                tokenise(self.tokenizer, rows, self.dataset.reads, placed=self.dataset.contract.per_token),
                plan=self.device.plan,
                limit=self.config.train.max_tokens,
            )
        require_tokens(tokens, rows)
        if tokens.read:
            values = self.dataset.train.values + self.dataset.validation.values
            tokens = replace(tokens, targets=training_task(self.dataset.contract).align(values, tokens.read))
            self.judge = replace(
                self.judge, tokens=tokens.only(np.arange(len(self.dataset.train), len(rows)))
            )
        unknown = read_vocabulary(self.base.tokenizer).unknown
        share = 0.0 if unknown is None else tokens.share_of(unknown)
        if share >= MANY_UNKNOWN:
            log.warning(
                "the base model does not know %.0f %% of the tokens: is it of this language?", 100 * share
            )
        return tokens


@dataclass(frozen=True)
class Trained:
    """What a job made: the network in float32, and how it was made."""

    network: TokenNetwork
    validation: Scores
    details: dict[str, Any]
    """Numbers for the record: chosen values, and one entry for each epoch."""
    refine: Callable[[Path], Mapping[str, float] | None] = lambda _path: None
    """What is done to the ONNX file of the network, see `export_artifact`."""


def main(train: Callable[[Job], Trained]) -> NoReturn:
    """Run a training as a process and exit with the code that says whether a new try makes sense."""
    work_as_process(lambda path, ending, ranks: run(path, train, ending, ranks))


def work_as_process(work: Callable[[Path, Ending, Ranks], None]) -> NoReturn:
    """Do `work` on the config that the command line names, and exit as `main` says."""
    parser = argparse.ArgumentParser(description="Train one candidate on one data set.")
    parser.add_argument("--config", type=Path, required=True, help="config.json; results go beside it")
    path: Path = parser.parse_args().config
    open_log()
    # It complains that torchvision, which is not needed here, is not installed.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    transformers.utils.logging.disable_progress_bar()
    # A runner that finds the job hanging asks where it hangs.
    faulthandler.register(signal.SIGUSR1, file=2)
    ending = Ending()
    ending.listen()
    try:
        work(path, ending, join())
    except LakeloopError as error:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it is about to end
        # One line, without a traceback: the process that waits for the job shows it to a person.
        log.error("%s", "; ".join(line.strip() for line in str(error).splitlines()))  # noqa: TRY400
        sys.exit(exit_code(error))
    except Exception as error:
        if is_out_of_memory(error):
            what = "out of memory; to do: lower train.batch_size or train.max_tokens; %s"
            log.error(what, error)  # noqa: TRY400
            sys.exit(ConfigurationError.exit_code)
        log.exception("%s: %s", type(error).__name__, error)  # noqa: TRY401 - the log's last line says why
        sys.exit(EXIT_UNKNOWN)
    sys.exit(0)


def run(
    path: Path, train: Callable[[Job], Trained], ending: Ending | None = None, ranks: Ranks = ALONE
) -> None:
    """Train as the config at `path` says; artifact and result go beside it, and checkpoints meanwhile.

    Raises:
        ConfigurationError, DataError: the job cannot be done as it is.
        TransientError: the job was asked to end, or another process of it is gone.
    """
    config = settled(read_config(path))
    workdir = Workdir(path.parent)
    account = Account(workdir.spent if ranks.leads else workdir.spent / f"rank-{ranks.number}")
    checkpoints = Checkpoints(workdir.checkpoints, key_of(config))
    if not ranks.leads:
        with Meter(account=account) as meter:
            job = open_job(config, NoopTracker())
            job.checkpoints, job.ranks, job.ending = checkpoints, ranks, ending or job.ending
            train(job)
            ranks.gather(meter.read(job.device))
        ranks.leave()
        return
    identity, told = journal_of(config, account.told(checkpoints.run_to_continue()))
    checkpoints.run = identity.run
    journal = identity.path(config.journals)
    with Meter(account=account) as meter, JournalTracker(journal, identity) as tracker:
        job = open_job(config, tracker)
        job.checkpoints, job.told, job.pulse = checkpoints, told, Pulse(workdir.pulse)
        job.ending, job.ranks = ending or job.ending, ranks
        job.trial = Trial.of(config, workdir)
        settings = said_settings(config)
        tracker.config({**config.model_dump(mode="json"), "settings": settings})
        log.info(
            "%s: %d training and %d validation rows, %s, %s, %d process(es) of %d thread(s)",
            config.candidate.name, len(job.dataset.train), len(job.dataset.validation), job.device.name,
            job.device.dtype, ranks.count, job.device.threads,
        )  # fmt: skip
        log.info(
            "%s", ", ".join(f"{key} {found['value']} ({found['origin']})" for key, found in settings.items())
        )
        try:
            with traced_ahead(path, job) as beside:
                result = _finish(job, train(job), path.parent, meter, beside)
        except EndedEarlyError as early:
            log.info("%s", early)
            result = _cost_alone(job, meter)
        result["run"] = identity.run
        tracker.summary(result)
        write_atomically(workdir.result, json.dumps(result, indent=2) + "\n")
    checkpoints.clear()
    account.clear()


def journal_of(config: JobConfig, earlier: str) -> tuple[JournalIdentity, Told]:
    """The journal of this try, and how far it goes already.

    That of the `earlier` run whose work this try goes on with, and with it the curve in W&B; else one of its
    own: W&B cannot take steps back.
    """
    if earlier:
        identity = JournalIdentity(config.loop, config.stage, config.partition, earlier)
        try:
            return identity, told_in(identity.path(config.journals))
        except DataError as error:
            log.warning("a new journal is begun: %s", error)
    new = f"{config.key}-{now():%Y%m%dT%H%M%S%f}"
    return JournalIdentity(config.loop, config.stage, config.partition, new), Told()


def open_job(config: JobConfig, tracker: Tracker) -> Job:
    """Open and check all that `config` names.

    Raises:
        ConfigurationError, DataError: something is missing, broken or does not fit.
    """
    config = settled(config)
    device = open_device(config.train.seed)
    require_fit(config.train, config.base_folder, config.candidate, config.task)
    base = find_base_model(config.train.base_model, config.base_folder)
    task = task_of(config.task)
    dataset = dataset_of(config, task)
    tokenizer = load_tokenizer(base.tokenizer, config.train.max_tokens)
    if isinstance(config.task, WritingTask):
        writing = writing_of(base, tokenizer, config.task, dataset.train.values)
        dataset = replace(dataset, contract=with_writing(dataset.contract, writing, base))
    metric = metric_of(config.task.kind, config.metric)
    return Job(
        config=config,
        base=base,
        dataset=dataset,
        tokenizer=tokenizer,
        device=device,
        tracker=tracker,
        judge=Judge(task, dataset.contract, dataset.validation, metric),
    )


def _finish(
    job: Job, trained: Trained, workdir: Path, meter: Meter, beside: Callable[[], None]
) -> dict[str, Any]:
    """Seal the artifact; returns what result.json says."""
    description = _describe(job, trained)
    others = _cost_of_others(job.ranks)
    with job.timed("export"):
        artifact = _export(job, trained, description, workdir / "artifact", beside)
    reach("train.after-artifact")
    cost = together(meter.read(job.device), others)
    metric, scores = job.judge.metric, artifact.description.validation_metrics
    log.info(
        "validation %s %s, artifact %s, %.1f s",
        metric.title, shown(scores[metric.name]), artifact.digest[:12], cost["wall_seconds"],
    )  # fmt: skip
    return {
        "digest": artifact.digest,
        "method": description.method,
        "metrics": scores,
        "settings": description.settings,
        "details": trained.details,
        "seconds": cost["wall_seconds"],
        "cpu_seconds": cost["cpu_seconds"],
        "cost": cost,
        "seconds_by_part": {part: round(value, 3) for part, value in job.seconds.items()},
        "device": job.device.name,
        "dtype": job.device.dtype,
        "threads": job.device.threads,
        "processes": job.ranks.count,
    }


def _counts(job: Job) -> dict[str, int]:
    """Rows of each split, and those that were made of training rows."""
    train = len(job.dataset.train) - job.made
    made = {"train, made of others": job.made} if job.made else {}
    return {"train": train, **made, "validation": len(job.dataset.validation)}


def _cost_alone(job: Job, meter: Meter) -> dict[str, Any]:
    """What result.json says of a trial that was ended early: it leaves no model."""
    cost = together(meter.read(job.device), [])
    return {
        "ended_early": True,
        "seconds": cost["wall_seconds"],
        "cpu_seconds": cost["cpu_seconds"],
        "cost": cost,
    }


def _export(
    job: Job, trained: Trained, description: ArtifactDescription, into: Path, beside: Callable[[], None]
) -> Artifact:
    network, compared = trained.network, job.dataset.validation.instances[:COMPARED_ROWS]
    if description.engine == WRITER:
        texts = [each.text for each in compared]
        rows = _counts(job)
        return export_writer(network, job.tokenizer, description, texts, rows=rows, into=into, base=job.base)
    return export_artifact(
        network,
        job.tokenizer,
        description,
        tokenise(job.tokenizer, compared, job.dataset.reads),
        rows=_counts(job),
        into=into,
        graphs=job.config.cache / "graphs",
        beside=beside,
        refine=trained.refine,
    )


def _cost_of_others(ranks: Ranks) -> list[dict[str, Any]]:
    """What the other processes of the job have cost, which are no longer needed."""
    if ranks.count == 1:
        return []
    _, *others = ranks.gather(dict[str, Any]())
    ranks.leave()
    return [*others, {"cpu_seconds": cost_of_launcher()}]


def _describe(job: Job, trained: Trained) -> ArtifactDescription:
    config, dataset = job.config, job.dataset
    return ArtifactDescription(
        loop=config.loop,
        candidate=config.candidate.name,
        method=config.candidate.method.kind,
        engine=WRITER if dataset.contract.writing else ENCODER,
        contract=dataset.contract,
        reads=dataset.reads,
        clean=steps_of(config.clean, keep_length=config.task.placed),
        max_tokens=job.max_tokens or config.train.max_tokens,
        base_model=job.base.name,
        base_digest=job.base.digest,
        dataset_digest=dataset.digest,
        seed=config.train.seed,
        profile=dataset.profile,
        validation_metrics=dict(trained.validation.named),
        calibration=trained.details.get("calibration"),
        settings=said_settings(config),
    )
