"""What a training is: all that decides its outcome, and so whether it was done before.

Doing it is `train`, comparing it with earlier ones `why`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lakeloop
from lakeloop.durable import digest_folder, sha256_file
from lakeloop.errors import ConfigurationError
from lakeloop.records import fingerprint
from lakeloop.spec.identity import weights_of
from lakeloop.spec.train import Candidate
from lakeloop.stages.catalogue import stage_named
from lakeloop.stages.frame.session import StageContext
from lakeloop.stages.training.base import Base, base_of, beside_of
from lakeloop.tracking.journal import JOB, TRIAL

_SHORT = 12
"""Characters of a digest that only tells two files apart."""
_LIBRARY = Path(lakeloop.__file__).parent
_DECIDING_CODE = (
    "tasks/**/*.py", "measures/**/*.py", "cleaning/**/*.py", "inference/**/*.py", "artifact.py",
    "base_model.py", "bases/**/*.py",
)  # fmt: skip
"""What of the library decides a result: targets, scores, the texts that a tokenizer sees, what is sealed, the
base model. Not what a setting is when the loop file leaves it open: where that changes, the stage's version
is raised, and a new key leaves what was done as it is."""


@dataclass(frozen=True)
class Training:
    """A training, by all that decides its outcome."""

    candidate: Candidate
    dataset: str
    """Name of the folder in the lake."""
    base: Base
    beside: Mapping[str, Base]
    """What extras read: key below `train` -> its folder."""
    config: Mapping[str, Any]
    """The part of the loop file that decides the weights."""
    inputs: Mapping[str, str]
    parts: Mapping[str, Mapping[str, str]]
    """What the code is made of: one digest would not say which file has changed."""
    tried: Mapping[str, Any] | None = None
    """Of a trial of a search: the values that it tries; such a training may be ended early."""
    slots: tuple[int, ...] = ()
    """Of a job that carries out many trials: their places in the search."""
    experiment: str = ""
    """That it is done for; empty for production. It decides nothing of the outcome."""

    @property
    def stage(self) -> str:
        """What its records are called."""
        return stage_named("train").record_name(self.candidate.name, self.experiment)

    @property
    def work(self) -> str:
        return fingerprint(train=self.config, inputs=self.inputs)

    @property
    def folder(self) -> str:
        """Name of the job's folder: the same order finds its job again, another one gets another folder."""
        if self.slots:
            return f"job-trials-{self.work[:16]}-{self.slots[0]}"
        return f"job-{self.work[:16]}" if self.tried is None else f"job-trial-{self.work[:16]}"

    @property
    def job_stage(self) -> str:
        """What the job's own runs are called: steps and epochs are there."""
        return f"{self.stage}{JOB}" if self.tried is None else f"{self.stage}{TRIAL}"


def training_on(context: StageContext, name: str, dataset: str, digest: str) -> Training:
    """The training of a candidate on the data set of this `digest`, whose folder in the lake is `dataset`.

    Raises:
        ConfigurationError: there is no such candidate, or the base model or the training code is not where
            it should be.
    """
    candidate = context.loop.train.candidate(name)
    code = context.settings.root / "training"
    if not code.is_dir():
        raise ConfigurationError(
            "training code is missing", where=str(context.settings.root), expected=str(code)
        )
    return Training(
        candidate=candidate,
        dataset=dataset,
        base=(base := base_of(context)),
        beside=(beside := beside_of(context, candidate.method)),
        config=weights_of(context.loop, candidate),
        inputs={
            "dataset": digest,
            "base": base.identity,
            "code": code_digest(code),
            **{f"train.{key}": each.identity for key, each in beside.items()},
        },
        parts={"code": _code_files(code)},
        experiment=context.experiment,
    )


def code_digest(training: Path) -> str:
    """Digest of the code that decides a result, wherever it lies: folder `training`, parts of the library."""
    library = [f"{name} {digest}" for name, digest in _library_files()]
    return fingerprint(training=digest_folder(training, "**/*.py"), library=library)


def _library_files() -> Iterator[tuple[str, str]]:
    """Name and digest of each file of the library that decides a result."""
    for pattern in _DECIDING_CODE:
        for file in sorted(_LIBRARY.glob(pattern)):
            yield file.relative_to(_LIBRARY).as_posix(), sha256_file(file)


def _code_files(training: Path) -> dict[str, str]:
    """The files that `code_digest` is of, each with the beginning of its digest."""
    own = {f"training/{file.relative_to(training).as_posix()}": file for file in training.glob("**/*.py")}
    found = {name: sha256_file(file) for name, file in sorted(own.items())}
    found |= {f"lakeloop/{name}": digest for name, digest in _library_files()}
    return {name: digest[:_SHORT] for name, digest in found.items()}
