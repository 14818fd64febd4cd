"""The seam through which stages and training report: config, metrics, tables, artifacts, a summary.

Here are the verbs, the trackers that need no disk, and how a stage opens its own. Writing to disk is
`journal`; telling W&B is `mirror`, another process, so that W&B can be slow or away and nobody waits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from lakeloop.attempt import Attempt
from lakeloop.settings import Settings
from lakeloop.tracking.journal import JournalIdentity, JournalTracker
from lakeloop.tracking.wake import wake_mirror


class Tracker(Protocol):
    """Six verbs. Values are plain data: numbers, strings, lists, mappings; others are kept as text."""

    def config(self, values: Mapping[str, Any]) -> None:
        """What the work was asked to do; later values overwrite earlier ones."""

    def log(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """One point of each of `metrics`; `step` is the x axis where there is one."""

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """A small table for a person to read; each row as long as `columns`."""

    def artifact(
        self,
        name: str,
        kind: str,
        path: Path,
        metadata: Mapping[str, Any] | None = None,
        *,
        used: bool = False,
        aliases: Sequence[str] = (),
        refers_to: str = "",
    ) -> None:
        """A file or folder that was made, or `used`; `kind` is "dataset", "model" or "report".

        One that a run made and another used, by the same name and of the same bytes, ties the two together.
        `aliases` point at it from now on, and no more at what they pointed at before; `refers_to` is where
        more of it lies, too large to be copied.
        """

    def summary(self, values: Mapping[str, Any]) -> None:
        """The result: what a list of runs shows."""

    def close(self, exit_code: int = 0) -> None:
        """Nothing follows; anything but 0 means that the work failed."""


class NoopTracker:
    """Forgets everything."""

    def config(self, values: Mapping[str, Any]) -> None: ...

    def log(self, metrics: Mapping[str, float], step: int | None = None) -> None: ...

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None: ...

    def artifact(
        self,
        name: str,
        kind: str,
        path: Path,
        metadata: Mapping[str, Any] | None = None,
        *,
        used: bool = False,
        aliases: Sequence[str] = (),
        refers_to: str = "",
    ) -> None: ...

    def summary(self, values: Mapping[str, Any]) -> None: ...

    def close(self, exit_code: int = 0) -> None: ...


@dataclass
class RecordingTracker:
    """Keeps everything in memory, for tests to look at."""

    configured: dict[str, Any] = field(default_factory=dict)
    logged: list[tuple[int | None, dict[str, float]]] = field(default_factory=list)
    tables: dict[str, tuple[list[str], list[list[Any]]]] = field(default_factory=dict)
    artifacts: list[tuple[str, str, Path, dict[str, Any]]] = field(default_factory=list)
    used: list[str] = field(default_factory=list)
    """The names of those that were used, and not made."""
    aliases: dict[str, Path] = field(default_factory=dict)
    """Alias -> what it points at."""
    referred: dict[Path, str] = field(default_factory=dict)
    """What was told -> where more of it lies."""
    summarised: dict[str, Any] = field(default_factory=dict)
    exit_code: int | None = None
    """None while it is open."""

    def config(self, values: Mapping[str, Any]) -> None:
        self.configured.update(values)

    def log(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self.logged.append((step, dict(metrics)))

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        self.tables[name] = (list(columns), [list(row) for row in rows])

    def artifact(
        self,
        name: str,
        kind: str,
        path: Path,
        metadata: Mapping[str, Any] | None = None,
        *,
        used: bool = False,
        aliases: Sequence[str] = (),
        refers_to: str = "",
    ) -> None:
        self.used += [name] if used else []
        self.aliases |= dict.fromkeys(aliases, path)
        self.referred |= {path: refers_to} if refers_to else {}
        self.artifacts.append((name, kind, path, dict(metadata or {})))

    def summary(self, values: Mapping[str, Any]) -> None:
        self.summarised.update(values)

    def close(self, exit_code: int = 0) -> None:
        self.exit_code = exit_code


@contextmanager
def open_tracker(
    settings: Settings, *, loop: str, stage: str, partition: str, attempt: Attempt
) -> Iterator[Tracker]:
    """Journal one stage of one partition, and let the mirror know when there is something for it.

    The journal is closed with exit code 1 when an exception passes. The mirror runs on its own: the stage
    never waits for it, and never fails because of it.

    Raises:
        FenceError: another process is writing the journal of this attempt.
    """
    identity = JournalIdentity(loop=loop, stage=stage, partition=partition, run=attempt.token)
    try:
        with JournalTracker(identity.path(settings.journals), identity) as tracker:
            if settings.wandb_mode == "online" or settings.tensorboard:
                wake_mirror(settings)  # to follow the run while it is at work
            yield tracker
    finally:
        wake_mirror(settings)
