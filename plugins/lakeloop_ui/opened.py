"""A loop as pages see it: opened to be looked at, which creates no tables."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends
from lakeloop_airflow.loops import installation

from lakeloop.attempt import Attempt
from lakeloop.errors import ConfigurationError
from lakeloop.lake.store import Lake
from lakeloop.settings import Settings
from lakeloop.spec.reading.load import load_named
from lakeloop.stages.frame.session import StageContext

Installation = Annotated[Settings, Depends(installation)]


def open_to_look(settings: Settings, loop: str) -> StageContext:
    """The context of a loop, whether or not it has tables.

    Raises:
        ConfigurationError: the loop file is wrong.
    """
    spec = load_named(loop, settings)
    return StageContext(spec, Lake.from_settings(settings, spec), settings, Attempt.local())


def has_run(context: StageContext) -> bool:
    """Whether the loop has tables; looking for them makes none."""
    try:
        context.lake.version("ledger")
    except ConfigurationError:
        return False
    return True
