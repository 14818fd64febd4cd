"""A loop as pages see it: opened to be looked at, which creates no tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import Depends
from lakeloop_airflow.loops import installation

from lakeloop.attempt import Attempt
from lakeloop.errors import ConfigurationError
from lakeloop.lake.store import Lake
from lakeloop.records import StageRecord
from lakeloop.settings import Settings
from lakeloop.spec.reading.load import load_named
from lakeloop.stages.frame.session import StageContext
from lakeloop.stages.frame.status import LoopStatus, loop_status

Installation = Annotated[Settings, Depends(installation)]


def open_to_look(settings: Settings, loop: str) -> StageContext:
    """The context of a loop, whether or not it has tables.

    Raises:
        ConfigurationError: the loop file is wrong.
    """
    spec = load_named(loop, settings)
    return StageContext(spec, Lake.from_settings(settings, spec), settings, Attempt.local())


def recorded(context: StageContext) -> list[StageRecord] | None:
    """What the loop's ledger has, oldest first; None where it has no tables. Looking for them makes none."""
    try:
        return context.lake.ledger.entries()
    except ConfigurationError:
        return None


def status_of(context: StageContext, entries: Sequence[StageRecord] | None) -> LoopStatus | None:
    """The status of a loop with these records; None where nothing of it was ever recorded.

    Raises:
        LakeloopError: the status cannot be read.
    """
    if entries is None:
        return None
    status = loop_status(context, entries)
    return status if status.stages or status.failed or status.running else None
