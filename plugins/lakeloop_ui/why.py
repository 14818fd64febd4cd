"""The values for the page that says why the next training of a loop would be skipped or run."""

from __future__ import annotations

from lakeloop.settings import Settings
from lakeloop.stages.training.why import WhyTraining, why_training
from lakeloop_ui.opened import open_to_look


def why_page(settings: Settings, loop: str) -> WhyTraining:
    """The next training of the loop beside the last, field by field.

    Raises:
        LakeloopError: the loop file is wrong, its tables are not there yet, or the base model is missing.
    """
    context = open_to_look(settings, loop)
    context.lake.version("ledger")  # raises where nothing ran yet: looking at a page must not create tables
    return why_training(context)
