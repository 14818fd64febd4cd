"""The values for the page that says why the next training of a loop would be skipped or run."""

from __future__ import annotations

from lakeloop.attempt import Attempt
from lakeloop.lake.store import Lake
from lakeloop.settings import Settings
from lakeloop.spec.reading.load import load_named
from lakeloop.stages.frame.session import StageContext
from lakeloop.stages.training.why import WhyTraining, why_training


def why_page(settings: Settings, loop: str) -> WhyTraining:
    """The next training of the loop beside the last, field by field.

    Raises:
        LakeloopError: the loop file is wrong, its tables are not there yet, or the base model is missing.
    """
    spec = load_named(loop, settings)
    context = StageContext(spec, Lake.from_settings(settings, spec), settings, Attempt.local())
    context.lake.version("ledger")  # raises where nothing ran yet: looking at a page must not create tables
    return why_training(context)
