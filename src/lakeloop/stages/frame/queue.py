"""The trainings of a loop that wait for a device, from the folders of their jobs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from lakeloop.jobs.state import Workdir
from lakeloop.records import Frozen, now
from lakeloop.stages.frame.session import StageContext


class QueuedTraining(Frozen):
    """A training that was ordered and waits."""

    stage: str
    partition: str
    since: datetime
    reason: str
    begins_at: datetime | None = None
    """Probably, by how long earlier trainings took; None when it is not known."""

    @property
    def sentence(self) -> str:
        """For people."""
        if self.begins_at is None:
            return f"{self.reason}; for how long is not known"
        minutes = max(0.0, (self.begins_at - now()).total_seconds()) / 60
        return f"{self.reason}; about {minutes:.0f} min more, by what earlier trainings took"


def queue_of(context: StageContext) -> tuple[QueuedTraining, ...]:
    """What waits, of the trainings of the context's loop, oldest first."""
    folder = context.settings.home / "work" / context.loop.name
    return tuple(sorted(_waiting(folder), key=lambda each: each.since))


def _waiting(folder: Path) -> Iterator[QueuedTraining]:
    for path in folder.glob("*/*/job-*"):
        record = Workdir(path).read_record()
        if record is not None and record.state == "waiting" and not record.lost:
            yield QueuedTraining(
                stage=path.parent.parent.name,
                partition=path.parent.name,
                since=record.started_at,
                reason=record.reason,
                begins_at=record.begins_at,
            )
