"""What a stage would begin with: asked of the stage itself, which is stopped before it does anything.

So nothing here knows what the inputs of a stage are, and it cannot tell another story than the stage.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, NoReturn

from lakeloop.records import StageRecord
from lakeloop.stages.catalogue import Stage
from lakeloop.stages.frame.session import StageContext, StageSession
from lakeloop.tracking.tracker import NoopTracker

if TYPE_CHECKING:
    from lakeloop.lake.claims import Fence


@dataclass(frozen=True)
class Look:
    """A stage that knows what it would work on, and has done nothing."""

    session: StageSession
    skipped: str = ""
    """Why there is nothing to do; empty when there is."""


def look_at(context: StageContext, stage: Stage, partition: str, **options: Any) -> Look:
    """Look at `stage` for the day `partition`; of a training, `options` has the candidate.

    Writes nothing to the lake, and leaves no record and no journal.

    Raises:
        LakeloopError: as the stage does, when it cannot say what it would work on.
        ValueError: the stage does not decide by its inputs alone.
    """
    if stage.decides is None:
        raise ValueError(f"{stage.name} looks at more than its inputs")
    looking = _LookingContext(**{each.name: getattr(context, each.name) for each in fields(context)})
    try:
        stage.work(looking, partition, **options)
    except _StoppedError as stopped:
        return stopped.look
    raise AssertionError(f"{stage.name} worked without asking whether it has to")


class _StoppedError(Exception):
    def __init__(self, look: Look) -> None:
        super().__init__("looked at")
        self.look = look


class _LookingContext(StageContext):
    @contextmanager
    def stage(
        self, name: str, partition: str, *, config: Mapping[str, Any] | None = None
    ) -> Iterator[StageSession]:
        yield _LookingSession(
            self, name, partition, dict(config or {}), self.work(name, partition), NoopTracker()
        )


class _LookingSession(StageSession):
    def unchanged(self) -> NoReturn:
        raise _StoppedError(Look(self))

    def skipped(self, reason: str, **_: Any) -> StageRecord:
        raise _StoppedError(Look(self, reason))

    def claim(self) -> Fence:
        raise AssertionError(f"{self.name} begins to work without asking whether it has to")
