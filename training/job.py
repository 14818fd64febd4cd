"""The frame of every training job: its config, its exit codes, its journal, and what it leaves behind.

A job is `python -m training.<job> --config WORKDIR/config.json`. It leaves `artifact/` and then `result.json`
in WORKDIR, and ends with 0, 64 (bad configuration), 65 (bad data) or 75 (was ended, or was overtaken by
something that may pass). What is trained and how is `baseline` and `finetune`.
"""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NoReturn

import torch
import transformers
from pydantic import ValidationError
from tokenizers import Tokenizer

from lakeloop.artifact import ArtifactDescription
from lakeloop.durable import write_atomically
from lakeloop.errors import (
    EXIT_UNKNOWN,
    ConfigurationError,
    LakeloopError,
    TransientError,
    exit_code,
)
from lakeloop.faults import reach
from lakeloop.records import Frozen, now
from lakeloop.spec.models import Train
from lakeloop.tracking.journal import JournalIdentity, JournalTracker
from lakeloop.tracking.tracker import Tracker
from training.base_model import BaseModel, find_base_model
from training.data import Dataset, Tokens, load_tokenizer, read_dataset, tokenise
from training.device import Device, open_device
from training.export import export_artifact
from training.model import TextClassifier
from training.scores import Scores

log = logging.getLogger(__name__)


class JobConfig(Frozen):
    """What a job is told; everything else it finds in the folders named here."""

    loop: str
    partition: str
    candidate: Literal["baseline", "finetune"]
    train: Train
    dataset: Path
    """Folder with dataset.json, train.parquet and validation.parquet."""
    base_folder: Path | None
    """Where the base model lies; None when a package carries it."""
    cache: Path
    """Folder for what other jobs can use again."""
    journals: Path
    stage: str
    """Whose journal it is."""
    key: str
    """Tells this work from others of the same stage and partition."""


@dataclass
class Job:
    """A job at work: what it was given, opened and checked."""

    config: JobConfig
    base: BaseModel
    dataset: Dataset
    tokenizer: Tokenizer
    device: Device
    tracker: Tracker
    seconds: dict[str, float] = field(default_factory=dict)
    """Wall time of each part."""

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.seconds[part] = self.seconds.get(part, 0.0) + time.monotonic() - began
        log.info("%s: %.1f s", part, self.seconds[part])

    def tokenise(self) -> Tokens:
        """Tokens of all texts: the training rows, then the validation rows."""
        texts = self.dataset.train.texts + self.dataset.validation.texts
        with self.timed("tokenise"):
            return tokenise(self.tokenizer, texts)


@dataclass(frozen=True)
class Trained:
    """What a job made: the network in float32, and how it was made."""

    model: TextClassifier
    method: str
    validation: Scores
    details: dict[str, Any]
    """Numbers for the record: chosen values, and one entry for each epoch."""


def main(candidate: str, train: Callable[[Job], Trained]) -> NoReturn:
    """Run a job as a process and exit with the code that says whether a new try makes sense."""
    parser = argparse.ArgumentParser(description=f"Train the {candidate} of one dataset.")
    parser.add_argument("--config", type=Path, required=True, help="config.json; results go beside it")
    path: Path = parser.parse_args().config
    _open_log()
    signal.signal(signal.SIGTERM, _on_sigterm)
    try:
        run(path, train)
    except LakeloopError as error:
        # One line, without a traceback: whoever waits for the job shows it to a person.
        log.error("%s", "; ".join(line.strip() for line in str(error).splitlines()))  # noqa: TRY400
        sys.exit(exit_code(error))
    except torch.OutOfMemoryError as error:
        log.error("out of memory on the device; to do: lower train.batch_size; %s", error)  # noqa: TRY400
        sys.exit(ConfigurationError.exit_code)
    except Exception as error:
        log.exception("%s: %s", type(error).__name__, error)  # noqa: TRY401 - the log's last line says why
        sys.exit(EXIT_UNKNOWN)
    sys.exit(0)


def run(path: Path, train: Callable[[Job], Trained]) -> None:
    """Train as the config at `path` says; artifact and result go beside it.

    Raises:
        ConfigurationError, DataError: the job cannot be done as it is.
    """
    config = _read_config(path)
    began = time.monotonic()
    # A journal for each try: W&B cannot take steps back.
    identity = JournalIdentity(
        config.loop, config.stage, config.partition, f"{config.key}-{now():%Y%m%dT%H%M%S%f}"
    )
    with JournalTracker(identity.path(config.journals), identity) as tracker:
        tracker.config(config.model_dump(mode="json"))
        device = open_device(config.train.seed)
        base = find_base_model(config.train.base_model, config.base_folder)
        job = Job(
            config=config,
            base=base,
            dataset=read_dataset(config.dataset),
            tokenizer=load_tokenizer(base.tokenizer, config.train.max_tokens),
            device=device,
            tracker=tracker,
        )
        log.info(
            "%s: %d training and %d validation rows, %s, %s, %d thread(s)",
            config.candidate, len(job.dataset.train), len(job.dataset.validation), device.name, device.dtype,
            device.threads,
        )  # fmt: skip
        result = _finish(job, train(job), path.parent, began)
        tracker.summary(result)
        write_atomically(path.parent / "result.json", json.dumps(result, indent=2) + "\n")


def _finish(job: Job, trained: Trained, workdir: Path, began: float) -> dict[str, Any]:
    """Seal the artifact; what result.json says."""
    train, dataset = job.config.train, job.dataset
    description = ArtifactDescription(
        loop=job.config.loop,
        candidate=job.config.candidate,
        method=trained.method,
        labels=dataset.labels,
        max_tokens=train.max_tokens,
        base_model=job.base.name,
        base_digest=job.base.digest,
        dataset_digest=dataset.digest,
        seed=train.seed,
        train_label_shares=dataset.train_label_shares,
        validation_metrics=trained.validation.as_dict(),
    )
    with job.timed("export"):
        artifact = export_artifact(
            trained.model,
            job.tokenizer,
            description,
            dataset.validation.texts,
            rows={"train": len(dataset.train), "validation": len(dataset.validation)},
            into=workdir / "artifact",
        )
    reach("train.after-artifact")
    seconds = time.monotonic() - began
    log.info(
        "validation macro-F1 %.4f, artifact %s, %.1f s",
        trained.validation.macro_f1, artifact.digest[:12], seconds,
    )  # fmt: skip
    return {
        "digest": artifact.digest,
        "method": trained.method,
        "metrics": trained.validation.as_dict(),
        "details": trained.details,
        "seconds": round(seconds, 3),
        "cpu_seconds": round(time.process_time(), 3),
        "seconds_by_part": {part: round(value, 3) for part, value in job.seconds.items()},
        "device": job.device.name,
        "dtype": job.device.dtype,
        "threads": job.device.threads,
    }


def _read_config(path: Path) -> JobConfig:
    try:
        return JobConfig.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigurationError("config cannot be read", where=str(path), found=str(error)) from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise ConfigurationError(
            first["msg"], where=f"{path}: {key}", found=repr(first["input"])[:200]
        ) from None


def _open_log() -> None:
    """Lines for a person on stderr; of libraries only what they complain about."""
    logging.basicConfig(
        level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S"
    )
    for name in ("lakeloop", "training"):
        logging.getLogger(name).setLevel(logging.INFO)
    # It complains that torchvision, which nobody needs here, is not installed.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def _on_sigterm(_number: int, _frame: object) -> NoReturn:
    raise TransientError("job was asked to end", remedy="submit it again; it starts anew")
