"""What a stage leaves behind about itself: counts, inputs, outputs, provenance and one fingerprint.

A record is data: it is written beside the output it describes and, whole, into the lake's ledger. How a
record comes to be is `lakeloop.stages.frame.session`; this module is light enough to import in a DAG file.
"""

from __future__ import annotations

import functools
import hashlib
import json
import platform
import socket
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    model_serializer,
    model_validator,
)

from lakeloop.durable import write_atomically
from lakeloop.errors import CountsError, NewerFormatError
from lakeloop.plural import counted

Status = Literal["done", "unchanged", "skipped", "refused", "reset"]
"""`reset`: a person had the rows cleared; what the stage recorded of the day before no longer counts."""

_RECORDED_PACKAGES = (
    "lakeloop", "apache-airflow", "dbt-core", "deltalake", "duckdb", "great-expectations",
    "onnxruntime", "pyarrow", "torch", "transformers",
)  # fmt: skip


RECORD_FORMAT = 2

EXPERIMENT = "@"
"""Stands in the name of a record before the experiment that it is of: `train-finetune@fast`."""


def experiment_of(name: str) -> str:
    """The experiment that a record, or a process, of this name is of; empty for one of production."""
    return name.partition(EXPERIMENT)[2].partition("-")[0]


def fingerprint(**parts: Any) -> str:
    """sha256 of `parts` as canonical JSON: equal for equal content, whatever the order of the keys."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return str(value)


class Frozen(BaseModel):
    """Base of all records and specs: immutable, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Formatted(Frozen):
    """Base of what outlives a version of Lakeloop: its field `format` says how it is written.

    Raises:
        NewerFormatError: a later version wrote it. The context of the validation may say under `where`
            what is read.
    """

    newest_format: ClassVar[int]
    """The newest that this version reads; older ones are lifted."""

    @model_validator(mode="before")
    @classmethod
    def _refuse_a_later_format(cls, content: Any, info: ValidationInfo) -> Any:
        found = content.get("format") if isinstance(content, dict) else None
        if isinstance(found, int) and found > cls.newest_format:
            raise NewerFormatError(
                "written by a newer version of Lakeloop",
                where=(info.context or {}).get("where", cls.__name__),
                expected=f"format {cls.newest_format} at most",
                found=f"format {found}",
                remedy="upgrade Lakeloop here to the version that wrote it",
            )
        return content


class Counts(Frozen):
    """Rows of one partition through one stage."""

    read: int = Field(ge=0)
    accepted: int = Field(ge=0)
    quarantined: int = Field(default=0, ge=0)
    duplicates: int = Field(default=0, ge=0)
    waiting: int = Field(default=0, ge=0)
    """Rows whose label has not come yet; a day is built anew when it does."""

    @model_serializer(mode="wrap")
    def _as_before(self, handler: SerializerFunctionWrapHandler) -> dict[str, int]:
        """Without `waiting` where nothing waits: counts are inputs of stages, and had no such field."""
        counts: dict[str, int] = handler(self)
        return {name: value for name, value in counts.items() if value or name != "waiting"}

    @property
    def words(self) -> str:
        """`9 read = 6 accepted + 1 quarantined + 0 duplicates + 2 waiting for a label`."""
        waiting = f" + {self.waiting} waiting for a label" if self.waiting else ""
        return (
            f"{self.read} read = {self.accepted} accepted + {self.quarantined} quarantined + "
            f"{counted(self.duplicates, 'duplicate')}{waiting}"
        )

    def reconcile(self, where: str) -> Counts:
        """Return self when every row read is accounted for exactly once.

        Raises:
            CountsError: read is not accepted + quarantined + duplicates + waiting.
        """
        accounted = self.accepted + self.quarantined + self.duplicates + self.waiting
        if accounted != self.read:
            raise CountsError(
                f"{abs(self.read - accounted)} row(s) {'lost' if accounted < self.read else 'doubled'}",
                where=where,
                expected=f"{self.read} rows read = accepted + quarantined + duplicates"
                + (" + waiting" if self.waiting else ""),
                found=f"{self.accepted} + {self.quarantined} + {self.duplicates}"
                + (f" + {self.waiting}" if self.waiting else "")
                + f" = {accounted}",
                remedy="nothing was published; this is a defect of the reader or of a model, report it",
            )
        return self


class BuiltModel(Frozen):
    """What dbt did with one model of a day, and with the data tests of it."""

    name: str
    status: str
    seconds: float
    """Without its tests."""
    rows: int | None = None
    """None where they are not in a table or view of their own."""
    tests: int = 0
    test_seconds: float = 0.0
    warned: dict[str, int] = Field(default_factory=dict)
    """Test that only warns, and did -> rows that it found."""


class Provenance(Frozen):
    """Who made something, when, from which code, with which versions."""

    run_id: str
    try_number: int
    started_at: datetime
    finished_at: datetime
    git_sha: str
    host: str
    python: str
    versions: dict[str, str]
    argv: tuple[str, ...] = ()

    @classmethod
    def collect(cls, *, run_id: str, try_number: int, started_at: datetime, root: Path) -> Provenance:
        return cls(
            run_id=run_id,
            try_number=try_number,
            started_at=started_at,
            finished_at=now(),
            git_sha=git_sha(root),
            host=socket.gethostname(),
            python=platform.python_version(),
            versions=installed_versions(),
            argv=tuple(Path(part).name if i == 0 else part for i, part in enumerate(sys.argv)),
        )

    @property
    def seconds(self) -> float:
        return (self.finished_at - self.started_at).total_seconds()


class StageRecord(Formatted):
    """What one stage did for one partition of one loop."""

    newest_format: ClassVar[int] = RECORD_FORMAT

    loop: str
    stage: str
    partition: str
    status: Status
    reason: str
    """A sentence for a person: what happened and why, with numbers."""
    fingerprint: str = ""
    """Of the stage, its version, partition, config and inputs: equal fingerprints make equal outputs."""
    inputs: dict[str, str] = Field(default_factory=dict)
    """Name -> digest or pinned version of what the output was made from."""
    outputs: dict[str, str] = Field(default_factory=dict)
    """Name -> digest, version, count or name of what was made."""
    counts: Counts | None = None
    metrics: dict[str, float] = Field(default_factory=dict)
    links: dict[str, str] = Field(default_factory=dict)
    """Name -> path or URL of what a person may want to open."""
    config: dict[str, JsonValue] = Field(default_factory=dict)
    format: int = 1
    """How `config` is said: 1 with every key, 2 without those at their default."""
    version: int | None = None
    """Of the stage, which is a part of the fingerprint; None in records that do not say it."""
    parts: dict[str, dict[str, str]] = Field(default_factory=dict)
    """Input that is made of several -> what each of them is: which file it was that changed."""
    settings: dict[str, JsonValue] = Field(default_factory=dict)
    """For people: each setting of the work -> its value, resolved, and where it is from."""
    examples: tuple[str, ...] = ()
    """Some of the records that were refused, each with where and why, for who looks at the record: the lake,
    the command and the log of the task have them, and no tracker, for they hold texts of rows."""
    unknown: dict[str, int] = Field(default_factory=dict)
    """Right answers that the task does not know -> rows that were quarantined for nothing else, the most
    frequent: when the loop file knows one, they come in. No tracker has it, for it is text of rows."""
    models: tuple[BuiltModel, ...] = ()
    """Of a stage that ran dbt: what it did with each model, in the order in which they were built."""
    profile: str = ""
    """Of rows that were published, as JSON: what later days are compared with. See `quality.profile`."""
    leaks: str = Field(default="", exclude_if=lambda leaks: not leaks)
    """Of a data set, as JSON: which leaks were looked for, and what was found. See `measures.leaking`."""
    provenance: Provenance

    @property
    def experiment(self) -> str:
        """The experiment that it is of; empty for one of production."""
        return experiment_of(self.stage)

    @property
    def title(self) -> str:
        """For people: which record this is, by stage, day, digest and run."""
        made = self.outputs.get("digest", "")
        what = f"digest {made[:12]}" if made else f"fingerprint {self.fingerprint[:12]}"
        by = self.provenance
        return (
            f"{self.stage} {self.partition}, {what}, of {by.finished_at:%Y-%m-%d %H:%M} UTC"
            f" by run {by.run_id}, try {by.try_number}"
        )

    def write(self, path: Path) -> None:
        write_atomically(path, self.model_dump_json(indent=2) + "\n")


def now() -> datetime:
    """The current time in UTC; the only clock that records use."""
    return datetime.now(UTC)


@functools.lru_cache
def installed_versions() -> dict[str, str]:
    found = {}
    for package in _RECORDED_PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


@functools.lru_cache
def git_sha(root: Path) -> str:
    """Commit of the checkout at `root`, with `+dirty` when it was changed; `unknown` outside of git."""

    def ask(*argv: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(root), *argv], capture_output=True, text=True, timeout=10, check=True
        )
        return done.stdout.strip()

    try:
        return ask("rev-parse", "HEAD") + ("+dirty" if ask("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown"
