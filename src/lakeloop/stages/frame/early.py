"""Failures of a task before its stage began: they are kept as those of stages are, so that they are shown."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from lakeloop.errors import LakeloopError
from lakeloop.stages.frame.session import StageContext
from lakeloop.tracking.journal import JournalIdentity


@contextmanager
def kept_failure(context: StageContext, name: str, partition: str) -> Iterator[None]:
    """Journal an error that passes, as a failure of the stage `name`, unless the stage has done so itself."""
    identity = JournalIdentity(context.loop.name, name, partition, context.attempt.token)
    try:
        yield
    except LakeloopError:
        if not identity.path(context.settings.journals).exists():
            with suppress(OSError), context.tracked(name, partition, {}):
                raise
        raise
